# Builds the cluster's programs once, from Go modules, into the user's cache.
# shellcheck shell=bash

# locate_tools sets TOOLS to the build directory for these sources and this version of Go.
locate_tools() {
  command -v go >/dev/null || fail "Go is needed to build the cluster's programs (the version in $CLUSTER_HOME/go.mod)"
  TOOLS=$CACHE/$(fingerprint)
}

# fingerprint prints a hash of everything that goes into the build.
fingerprint() {
  (
    cd "$CLUSTER_HOME" || exit
    {
      find go.mod go.sum cmd lib/build.sh lib/images.sh ../lib/compile.sh -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
      go env GOVERSION GOARCH
    } | sha256sum | cut -c1-16
  )
}

# build_tools builds the tools if they are missing. It builds into a temporary directory and renames it, so that an
# interrupted build is never used.
build_tools() {
  locate_tools
  if [[ -d $TOOLS ]]; then
    touch "$TOOLS" # the oldest are removed first
    return
  fi
  local build_lock start=$EPOCHREALTIME
  lock_directory "$CACHE"
  build_lock=$LOCK
  if ! [[ -d $TOOLS ]]; then # otherwise another call built it while this one waited
    say "building the cluster's programs into $TOOLS"
    rm -rf "$CACHE"/*.partial
    (build_into "$TOOLS.partial")
    mv "$TOOLS.partial" "$TOOLS"
    remove_old_builds
    say "built in $(seconds_since "$start") s"
  fi
  unlock "$build_lock"
}

# build_into DIR must run in a subshell: it changes the working directory and variables. All programs are compiled at once,
# so that one is linked while the next is compiled.
build_into() {
  export GOWORK=off
  local bin=$1/bin images=$1/images version etcd
  mkdir -p "$bin" "$images"
  cd "$CLUSTER_HOME" || exit
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  etcd=$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)
  use_build_flags
  compile "Kubernetes $version, etcd $etcd, CoreDNS and Helm from source" "$(version_stamp "$version")" "$bin" \
    ./cmd/kube ./cmd/provisioner ./cmd/forward ./cmd/coredns ./cmd/pause helm.sh/helm/v4/cmd/helm ||
    fail "the cluster's programs cannot be built"
  link_programs "$bin"
  build_step "images of CoreDNS and pause" build_system_images "$bin" "$images"
}

# version_stamp VERSION prints the linker flags that set the version, as a release build of Kubernetes does. The default
# is v0.0.0-master.
version_stamp() {
  local version=$1 package major minor
  IFS=. read -r major minor _ <<<"${version#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- '-X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s -X %s.gitTreeState=clean ' \
      $package "$version" $package "$major" $package "$minor" $package
  done
}

link_programs() {
  local bin=$1 program
  for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln -s kube "$bin/$program"
  done
}

# build_system_images BIN IMAGES: these two programs run in pods only.
build_system_images() {
  program_image "$1/pause" "$PAUSE_IMAGE" "$2/pause.tar" "" &&
    program_image "$1/coredns" "$COREDNS_IMAGE" "$2/coredns.tar" "" &&
    rm "$1/pause" "$1/coredns"
}

# build_step WHAT COMMAND…: prints what is being built and how long it took, and COMMAND's output only if it fails.
build_step() (
  what=$1 start=$EPOCHREALTIME
  shift
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  printf '  %s …' "$what" >&2
  if ! "$@" >"$log" 2>&1; then
    trap - EXIT
    printf ' failed\n' >&2
    tail -n 30 "$log" >&2
    fail "building failed; the whole log is $log"
  fi
  printf ' %s s\n' "$(seconds_since "$start")" >&2
)

# remove_old_builds keeps the three builds used last (each takes 300 MB) and those that a cluster is running from.
remove_old_builds() {
  local build
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name '????????????????' -printf '%T@ %p\n' | sort -rn |
    tail -n +4 | cut -d' ' -f2- | while read -r build; do
    grep -qsxF "$build/bin" "$STATE_ROOT"/*/tools || rm -rf "$build"
  done
}
