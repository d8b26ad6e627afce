# shellcheck shell=bash
# The tools of the tests: pinned in go.mod files of their own, built once into the user's cache.

# Images are built with -trimpath: the same flag here lets both share Go's build cache.
export GOFLAGS="${GOFLAGS:-} -trimpath" CGO_ENABLED=0

test_tools=${XDG_CACHE_HOME:-$HOME/.cache}/rosey/tools

install_packages() {
  local missing=() package
  for package in gcc shellcheck; do
    command -v "$package" >/dev/null || missing+=("$package")
  done
  [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
  [ "${#missing[@]}" -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    leave_out "what needs ${missing[*]}: not installed, and apt-get needs root"
    return
  fi
  say "installing ${missing[*]}"
  apt-get update -qq >/dev/null
  apt_install "${missing[@]}"
}

# Debian's PostgreSQL makes a database and starts a server when it is installed. The tests have servers of their own.
apt_install() (
  no_server=/etc/postgresql-common/createcluster.d/rosey-tests.conf
  trap 'rm -f "$no_server"' EXIT
  mkdir -p "${no_server%/*}"
  echo 'create_main_cluster = false' >"$no_server"
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@" >/dev/null
)

build_test_tools() {
  [ -x "$test_tools/golangci-lint" ] || say "building gotestsum and golangci-lint: about 3 minutes, once"
  mkdir -p "$test_tools"
  (cd hack/tools && go build -o "$test_tools/" gotest.tools/gotestsum)
  (cd hack/tools/apilint && go build -o "$test_tools/" sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter)
  (cd hack/tools/lint && go build -o "$test_tools/" github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
}

# Built before anything is linted: both compile Kubernetes, and the linter has a time limit.
# etcd and kube-apiserver serve the operator's tests anywhere on Linux.
build_cluster_tools() {
  if [ "$(uname -s)" != Linux ]; then
    leave_out "the operator against an API server: it needs Linux"
    return
  fi
  hack/cluster/cluster build
  KUBEBUILDER_ASSETS=$(hack/cluster/cluster bin)
  export KUBEBUILDER_ASSETS
}

# The end-to-end test needs a whole cluster.
check_cluster() {
  local why
  export ROSEY_E2E=processes
  if ! why=$(hack/cluster/cluster check 2>&1); then
    leave_out "end to end and chaos on a cluster, and the local cluster's own checks: ${why#no: }"
    return
  fi
  say "the local cluster's own checks"
  hack/cluster/cluster smoke
  ROSEY_E2E=local-cluster
}

# What runs at once in one process is in the runtime and the simulator: they run under the race detector, the one thing
# that needs C.
raced=(./runtime/... ./cmd/rosey ./hack/cytube/...)

run_raced_tests() {
  if ! command -v gcc >/dev/null; then
    leave_out "the race detector: it needs gcc"
    run_go_tests "$@" "${raced[@]}"
    return
  fi
  CGO_ENABLED=1 run_go_tests -race "$@" "${raced[@]}"
}

cluster_chaos='^TestOnACluster$'

# By itself: beside another cluster, two cores would be too slow for the times within which all must be well again.
run_cluster_chaos() {
  [ "$ROSEY_E2E" = local-cluster ] || return 0
  say "a minute of faults on a local cluster with two nodes"
  run_go_tests "$@" -run "$cluster_chaos" ./test/chaos
}

run_other_tests() {
  local others
  mapfile -t others < <(comm -23 <(go list ./... | sort) <(go list "${raced[@]}" | sort))
  run_go_tests "$@" -skip "$cluster_chaos" "${others[@]}"
}

run_go_tests() {
  "$test_tools/gotestsum" --format pkgname-and-test-fails --format-hide-empty-pkg -- \
    -timeout 30m -p 2 "$@"
}
