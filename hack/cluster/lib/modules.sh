# Programs that only some clusters need. Each is pinned in its own module and built when it is first needed: changing one
# does not rebuild Kubernetes, and other clusters do not wait for it.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files use MODULE_BIN

# build_module NAME: builds the programs that NAME/go.mod lists as tools, once, and sets MODULE_BIN to their directory.
build_module() {
  local name=$1 built module_lock
  built=$CACHE/modules/$name/$(module_fingerprint "$name")
  MODULE_BIN=$built
  [[ ! -d $built ]] || return 0
  lock_directory "$CACHE/modules/$name"
  module_lock=$LOCK
  if ! [[ -d $built ]]; then # otherwise another call built it while this one waited
    build_module_into "$name" "$built.partial" || fail "the programs of hack/cluster/$name cannot be built"
    find "$CACHE/modules/$name" -mindepth 1 -maxdepth 1 ! -name '*.partial' -exec rm -rf {} +
    mv "$built.partial" "$built"
  fi
  unlock "$module_lock"
}

module_fingerprint() {
  (
    cd "$CLUSTER_HOME/$1" || exit
    { sha256sum go.mod go.sum "$CLUSTER_HOME/lib/modules.sh" | cut -d' ' -f1; go env GOVERSION GOARCH; } |
      sha256sum | cut -c1-16
  )
}

# build_module_into NAME DIR
build_module_into() (
  export GOWORK=off
  rm -rf "$2"
  mkdir -p "$2"
  use_build_flags
  cd "$CLUSTER_HOME/$1" && compile "programs of hack/cluster/$1" "" "$2" tool
)
