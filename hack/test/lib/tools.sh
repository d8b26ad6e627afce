# shellcheck shell=bash
# The tools of the tests, pinned in go.mod files of their own and built once into the user's cache; and how tests are run.

# shellcheck source=../../lib/progress.sh
. hack/lib/progress.sh
# shellcheck source=../../lib/compile.sh
. hack/lib/compile.sh
use_build_flags
# shellcheck source=../../lib/npm.sh
. hack/lib/npm.sh

test_tools=${XDG_CACHE_HOME:-$HOME/.cache}/rosey/tools

install_packages() {
  local missing=() package
  for package in gcc shellcheck; do
    command -v "$package" >/dev/null || missing+=("$package")
  done
  [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
  [ -e /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || missing+=(pgbouncer)
  has_browser || missing+=(chromium)
  # A plugin in JavaScript, and what the npm registry has.
  for package in npm nodejs; do
    command -v "${package%js}" >/dev/null || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    leave_out "tests that need ${missing[*]}: not installed, and apt-get needs root"
    return
  fi
  say "installing ${missing[*]}"
  apt-get update -qq >/dev/null && apt_install "${missing[@]}"
}

has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

# install_axe puts axe-core, which finds what keeps people from using a page, into the cache. Nothing of it is shipped.
install_axe() {
  local version=4.14.1 fetched
  axe=$test_tools/axe-$version.js
  [ ! -e "$axe" ] || return 0
  if ! command -v npm >/dev/null; then
    leave_out "what axe-core says about the pages: it needs npm"
    return
  fi
  fetched=$(mktemp -d)
  if fetch_npm "$fetched" axe-core "$version" \
    sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==; then
    mkdir -p "$test_tools" && mv "$fetched/axe-core/axe.min.js" "$axe"
  else
    leave_out "what axe-core says about the pages: it cannot be fetched from the npm registry"
  fi
  rm -rf "$fetched"
}

# unpack_packages DIRECTORY PACKAGE...: unpacks packages of Debian into a directory: installed, they would start servers.
unpack_packages() (
  cd "$1" || exit
  shift
  { [ "$(id -u)" -ne 0 ] || apt-get update -qq; } && apt-get download -qq "$@" || exit
  for package in *.deb; do dpkg-deb --extract "$package" . || exit; done
) &>/dev/null

# install_prometheus puts Debian's Prometheus and Alertmanager into the cache.
install_prometheus() {
  local programs=$test_tools/prometheus unpacked
  [ ! -x "$programs/alertmanager" ] || return 0
  if ! command -v apt-get >/dev/null; then
    leave_out "alerts and dashboards on Prometheus and Alertmanager: Debian's packages are needed"
    return
  fi
  say "downloading Prometheus and Alertmanager"
  unpacked=$(mktemp -d)
  if unpack_packages "$unpacked" prometheus prometheus-alertmanager &&
    [ -x "$unpacked/usr/bin/prometheus-alertmanager" ] && [ -x "$unpacked/usr/bin/promtool" ]; then
    mkdir -p "$programs" && mv "$unpacked"/usr/bin/{prometheus,promtool} "$programs/" &&
      mv "$unpacked/usr/bin/prometheus-alertmanager" "$programs/alertmanager"
    # Debian's Alertmanager reads its templates there and nowhere else.
    local templates=/usr/share/prometheus/alertmanager
    [ -e "$templates" ] || { [ "$(id -u)" -eq 0 ] && mkdir -p "${templates%/*}" && mv "$unpacked$templates" "$templates"; } ||
      leave_out "alerts on Alertmanager: its templates are installed by root"
  else
    leave_out "alerts and dashboards on Prometheus and Alertmanager: apt-get cannot download them"
  fi
  rm -rf "$unpacked"
}

# install_proxies puts Debian's Caddy and nginx into the cache.
install_proxies() {
  local programs=$test_tools/proxies unpacked
  [ ! -x "$programs/nginx" ] || return 0
  if ! command -v apt-get >/dev/null; then
    leave_out "the web page behind Caddy and nginx: Debian's packages are needed"
    return
  fi
  say "downloading Caddy and nginx"
  unpacked=$(mktemp -d)
  if unpack_packages "$unpacked" caddy nginx &&
    [ -x "$unpacked/usr/bin/caddy" ] && [ -x "$unpacked/usr/sbin/nginx" ]; then
    mkdir -p "$programs" && mv "$unpacked/usr/bin/caddy" "$unpacked/usr/sbin/nginx" "$programs/"
  else
    leave_out "the web page behind Caddy and nginx: apt-get cannot download them"
  fi
  rm -rf "$unpacked"
}

# install_emulator sets emulator to QEMU's emulator of programs for linux/arm64, of Debian's package, in the cache. It is
# called by name: nothing is registered in the kernel.
install_emulator() {
  local unpacked
  emulator=$test_tools/qemu-aarch64-static
  [ ! -x "$emulator" ] || return 0
  if ! command -v apt-get >/dev/null; then
    leave_out "programs for linux/arm64: Debian's package qemu-user-static is needed"
    return
  fi
  say "downloading QEMU"
  unpacked=$(mktemp -d)
  if unpack_packages "$unpacked" qemu-user-static; then
    mkdir -p "$test_tools" && mv "$unpacked/usr/bin/qemu-aarch64-static" "$emulator"
  else
    leave_out "programs for linux/arm64: apt-get cannot download qemu-user-static"
  fi
  rm -rf "$unpacked"
}

# apt_install PACKAGE...: Debian's PostgreSQL package creates a database and starts a server. The tests start their own.
apt_install() (
  no_server=/etc/postgresql-common/createcluster.d/rosey-tests.conf
  trap 'rm -f "$no_server"' EXIT
  mkdir -p "${no_server%/*}"
  echo 'create_main_cluster = false' >"$no_server"
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@" >/dev/null
)

# build_test_tools builds gotestsum, actionlint, and golangci-lint with Kubernetes' linter for API types in it.
build_test_tools() {
  mkdir -p "$test_tools"
  build_test_tool hack/tools gotest.tools/gotestsum &&
    build_test_tool hack/tools/workflows github.com/rhysd/actionlint/cmd/actionlint &&
    build_test_tool hack/tools/lint sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
}

# build_collector builds an OpenTelemetry Collector, which takes two minutes the first time.
build_collector() {
  mkdir -p "$test_tools"
  build_test_tool hack/tools/otelcol rosey.dev/rosey/hack/tools/otelcol
}

# build_test_tool DIRECTORY PACKAGE: only the first build takes long enough to be shown.
build_test_tool() (
  cd "$1" || exit
  if [ -x "$test_tools/${2##*/}" ]; then
    go build -ldflags "-s -w" -o "$test_tools/" "$2"
  else
    compile "${2##*/}" "" "$test_tools" "$2"
  fi
)

# build_cluster_tools builds before anything is linted: both compile Kubernetes, and the linter has a time limit.
# etcd and kube-apiserver serve the operator's tests on any Linux machine.
build_cluster_tools() {
  if [ "$(uname -s)" != Linux ]; then
    leave_out "the operator's tests with an API server: they need Linux"
    return
  fi
  hack/cluster/cluster build || return
  KUBEBUILDER_ASSETS=$(hack/cluster/cluster bin) || return
  export KUBEBUILDER_ASSETS
}

# detect_cluster sets ROSEY_E2E: local-cluster where a local cluster can run, otherwise processes.
detect_cluster() {
  local why
  export ROSEY_E2E=local-cluster
  if ! why=$(hack/cluster/cluster check 2>&1); then
    ROSEY_E2E=processes
    leave_out "end to end and chaos on a cluster, and the local cluster's own checks: ${why#no: }"
  fi
}

# build_earlier builds what the end-to-end tests upgrade from, once into the cache.
build_earlier() {
  local why
  [ "$ROSEY_E2E" = local-cluster ] || return 0
  if why=$(hack/test/earlier --check 2>&1); then
    hack/test/earlier >/dev/null
  else
    leave_out "$why"
  fi
}

check_cluster() {
  say "the local cluster's own checks"
  hack/cluster/cluster smoke | tee "$results/cluster_checks"
}

# The runtime and the simulator run concurrent code: they are tested under the race detector, the only part that needs C.
# The slowest package is first, so that the others run beside it.
raced=(./cmd/rosey ./runtime/... ./hack/cytube/...)

# run_raced_tests runs four tests of a package at a time, even on two cores: most of them wait for timers and processes.
# The race detector delays the exit of every program by a second to report late races. Tests start hundreds of programs.
# SQLite is C code that was translated to Go. It is not watched, because it guards its memory by mutexes that are, and
# checks of it took half of the processor time.
run_raced_tests() {
  local sqlite=('-gcflags=modernc.org/...=-d=checkptr=0' '-gcflags=modernc.org/sqlite/lib=-d=checkptr=0 -race=false')
  if ! command -v gcc >/dev/null; then
    leave_out "the race detector: it needs gcc"
    run_go_tests -parallel 4 "$@" "${raced[@]}"
    return
  fi
  CGO_ENABLED=1 GORACE="atexit_sleep_ms=50 ${GORACE:-}" run_go_tests -race "${sqlite[@]}" -parallel 4 "$@" "${raced[@]}"
}

cluster_chaos='^TestOnACluster$'

# run_cluster_chaos runs beside no other cluster: two cores would be too slow for its time limits.
run_cluster_chaos() {
  [ "$ROSEY_E2E" = local-cluster ] || return 0
  say "a minute of faults on a local cluster with two nodes"
  run_go_tests "$@" -run "$cluster_chaos" ./test/chaos
}

# These packages may take as long as they like: they run beside a cluster, and yield to it.
patient_packages=(./test/chart ./test/rollouts ./test/release ./controllers/manifests ./hack/dashboards ./hack/waterfall
  ./test/admission ./test/docs ./test/workflows)

run_patient_tests() { run_go_tests -p 2 -parallel 4 "$@" "${patient_packages[@]}"; }

# run_other_tests begins with the two slowest packages, which mostly wait for clusters and processes: a third one runs
# beside them. Five tests of a package at a time: with fewer, the slowest of test/e2e would run alone at the end.
run_other_tests() {
  local others
  mapfile -t others < <(comm -23 <(go list ./... | sort) <(go list "${raced[@]}" "${patient_packages[@]}" | sort))
  run_go_tests -p 3 -parallel 5 "$@" -skip "$cluster_chaos" ./test/e2e ./test/chaos "${others[@]}"
}

# run_browser_tests opens the pages in headless Chromium, and leaves pictures of them in the cache.
run_browser_tests() {
  if ! has_browser; then
    leave_out "the pages in a browser: Chromium is not installed"
    return
  fi
  install_axe
  local pictures=${XDG_CACHE_HOME:-$HOME/.cache}/rosey/screenshots
  mkdir -p "$pictures"
  [ ! -e "$axe" ] || export ROSEY_AXE=$axe
  # Most of the tests wait for processes to come back.
  (cd test/browser && ROSEY_SCREENSHOTS=$pictures run_go_tests -parallel 6 "$@" ./...) || return
  echo "pictures of the pages: $pictures"
}

# run_go_tests GO_TEST_ARGUMENT...: counts and events go to $results where results.sh is loaded, in files that are named
# after the time of the start: parts may run at the same time.
run_go_tests() {
  local command=("$test_tools/gotestsum" --format pkgname-and-test-fails --format-hide-empty-pkg)
  local arguments=(-timeout 30m -p 2 "$@")
  if [ -z "${results:-}" ]; then
    "${command[@]}" -- "${arguments[@]}"
    return
  fi
  local started=$EPOCHREALTIME
  "${command[@]}" --jsonfile "$results/events.$started" -- "${arguments[@]}" |
    sed -u -e "/^DONE /{w $results/counts.$started" -e 'd}'
}
