# shellcheck shell=bash
# The results of a whole run: what failed, how long each part took, and the test runner's counts.

# While results is set, run_go_tests writes its events and counts there.
results=$(mktemp -d)
# A test that is killed, or ends with its time limit, leaves its temporary files: all of them are in this run's
# directory, which goes with it. Servers that do not run as root have theirs there too.
mkdir -m 1777 "$results/tmp"
chmod 711 "$results"
export TMPDIR=$results/tmp
trap end_background EXIT

failed=()

# part NAME COMMAND...: runs one part, records how long it took and whether it failed, and lets the next part run.
# Bash ignores "set -e" inside COMMAND.
part() {
  local name=$1
  shift
  timed "$name" "$@" || failed+=("$name")
}

# timed NAME COMMAND...: records how long COMMAND took. It may run in the background.
timed() {
  local name=$1 started=$SECONDS status=0
  shift
  "$@" || status=$?
  printf '%d\t%s\n' "$((SECONDS - started))" "$name" >>"$results/steps"
  return "$status"
}

declare -A background=()

# begin NAME COMMAND...: starts a part in the background that yields to all else. finish shows what it printed.
begin() {
  say "$1 (in the background)"
  set -m # the part is a process group, which ends with this run
  {
    renice -n 19 -p "$BASHPID" >/dev/null || true
    trap - EXIT
    left_out=()
    status=0
    timed "$@" || status=$?
    [ "${#left_out[@]}" -eq 0 ] || printf '%s\n' "${left_out[@]}" >"$results/left_out.$1"
    exit "$status"
  } </dev/null >"$results/output.$1" 2>&1 & # a part that read the terminal would be stopped
  background[$1]=$!
  set +m
}

# finish NAME: waits for a part that begin started.
finish() {
  wait "${background[$1]}" || failed+=("$1")
  unset "background[$1]"
  say "$1 (finished)"
  cat "$results/output.$1"
  [ ! -e "$results/left_out.$1" ] || mapfile -t -O "${#left_out[@]}" left_out <"$results/left_out.$1"
}

# end_background ends the parts in the background, and waits for them: they could write while the directory is removed.
end_background() {
  local group deadline=$((SECONDS + 30))
  for group in "${background[@]}"; do kill -- "-$group" 2>/dev/null || true; done
  for group in "${background[@]}"; do
    while kill -0 -- "-$group" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
  done
  rm -rf "$results" || echo "not removed: $results" >&2 # the run's result is not changed by what is left
}

# report_slowest prints the ten slowest parts: the scripts' own steps, and Go packages with their slowest test.
report_slowest() {
  echo
  echo "The ten slowest parts (some run at the same time):"
  { cat "$results/steps"; package_times; } | sort -rn | awk -F '\t' 'NR <= 10 { printf "%5d s  %s\n", $1, $2 }'
}

# package_times reads the events of "go test -json". An event has neither spaces nor quotes in the values used here.
package_times() {
  find "$results" -name 'events.*' -exec cat {} + | awk '
    function value(name,    found) {
      if (!match($0, "\"" name "\":\"?[^\",}]*")) return ""
      found = substr($0, RSTART, RLENGTH)
      sub(/^"[A-Za-z]*":"?/, "", found)
      return found
    }
    /"Action":"(pass|fail)"/ && /"Elapsed":/ {
      package = value("Package"); test = value("Test"); seconds = value("Elapsed") + 0
      sub(/^rosey\.dev\/rosey\//, "", package)
      if (test == "") {
        printf "%d\t%s", seconds, package
        if (package in slowest) printf " (%s: %d s)", slowest[package], longest[package]
        print ""
        delete slowest[package]; delete longest[package]
      } else if (test !~ /\// && seconds > longest[package]) {
        slowest[package] = test; longest[package] = seconds
      }
    }'
}

# report_cluster_checks repeats what the local cluster's own checks printed about those that failed.
report_cluster_checks() {
  [ ! -e "$results/cluster_checks" ] ||
    awk '/^FAIL /{ shown = 1 } /^(ok   |[0-9]+ passed)/{ shown = 0 } shown' "$results/cluster_checks"
}

# report ends the run: the test runner's counts are the last lines. It returns 1 when a part failed.
report() {
  report_slowest
  report_left_out
  report_cluster_checks
  [ "${#failed[@]}" -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
  find "$results" -name 'counts.*' | sort | xargs -r cat
  [ "${#failed[@]}" -eq 0 ]
}
