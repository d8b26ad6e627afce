# shellcheck shell=bash
# One run of the demo at a time, which ends with everything that it has started, however it is interrupted.

state_root=${XDG_STATE_HOME:-$HOME/.local/state}/rosey

# run_file has the process IDs of the run and of its group, and when the group was started.
run_file() { echo "$state_root/run-$cluster_name"; }

# supervise COMMAND: runs COMMAND in a process group of its own. A signal ends the group at once, and what a killed run
# has left is ended by the next one, or by down.
supervise() {
  local status=0
  refuse_second_run
  end_other_run
  mkdir -p "$state_root"
  group=
  trap interrupted INT TERM HUP
  set -m
  run_noted "$@" </dev/null &
  group=$!
  set +m
  wait "$group" || status=$?
  trap '' INT TERM HUP
  forget_run
  [ "$status" -eq 0 ] || say "the last step failed. 'make demo' tries again, 'make demo-down' removes everything" >&2
  exit "$status"
}

# run_noted COMMAND: the group notes itself: if its parent did, and were killed before, nobody would find the group.
run_noted() {
  local group=$BASHPID
  echo "$$ $group $(start_of "$group")" >"$(run_file)"
  "$@"
}

interrupted() {
  trap '' INT TERM HUP
  echo
  say "interrupted: stopping"
  group=${group:-$(jobs -p)} # the signal may come before the ID is assigned
  [ -z "$group" ] || end_group "$group"
  if [ "$own_cluster" = no ] && [ "$cluster_name" = demo ]; then processes_stop; fi
  forget_run
  say "What was compiled is kept: 'make demo' goes on from there. 'make demo-down' removes everything else."
  exit 130
}

forget_run() {
  rm -f "$(run_file)"
  rmdir "$state_root" 2>/dev/null || true
}

# other_run sets other and other_group to the process IDs of a run that is there or was killed; empty where nothing is
# left. The system may have given an ID to another process since.
other_run() {
  local started
  other='' other_group=''
  read -r other other_group started 2>/dev/null <"$(run_file)" || return 0
  case $(ps -o args= -p "$other" 2>/dev/null || tr '\0' ' ' 2>/dev/null <"/proc/$other/cmdline") in
    *hack/demo/demo*) ;;
    *) other='' ;;
  esac
  if ! kill -0 -- "-$other_group" 2>/dev/null; then
    other_group=
  elif kill -0 "$other_group" 2>/dev/null && [ "$(start_of "$other_group")" != "$started" ]; then
    other_group=
  fi
}

refuse_second_run() {
  other_run
  [ -z "$other" ] || { echo "demo: it is being started by process $other; 'make demo-down' ends that" >&2; exit 1; }
}

# end_other_run ends a run that is still going on, or what a killed one has left.
end_other_run() {
  other_run
  if [ -n "$other" ]; then
    say "ending the demo that is being started by process $other"
    kill -TERM "$other" && wait_for_exit "$other" 90
  fi
  [ -z "$other_group" ] || end_group "$other_group"
  forget_run
}

# end_group GROUP: a cluster that is being started removes what it has made, which takes some seconds.
end_group() {
  local deadline=$((SECONDS + 60))
  kill -TERM -- "-$1" 2>/dev/null || return 0
  while kill -0 -- "-$1" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { kill -KILL -- "-$1" 2>/dev/null || true; return; }
    sleep 0.1
  done
}

# start_of PID: prints when a process was started.
start_of() {
  if [ -r "/proc/$1/stat" ]; then
    sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20
  else
    ps -o lstart= -p "$1" | tr ' ' '_'
  fi
}

# wait_for_exit PID SECONDS: kills the process if it does not stop by itself.
wait_for_exit() {
  local deadline=$((SECONDS + $2))
  while kill -0 "$1" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { kill -9 "$1"; return; }
    sleep 0.1
  done
}
