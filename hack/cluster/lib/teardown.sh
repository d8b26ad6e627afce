# Ending a cluster, whatever state it is in: running, half started, or dead since the machine was restarted.
# shellcheck shell=bash

cluster_down() {
  local pid start=$EPOCHREALTIME
  [[ $EUID == 0 ]] || fail "taking a cluster down needs root"
  if ! [[ -d $STATE || -n $(cluster_cgroups) ]]; then
    say "cluster $NAME is not up"
    return
  fi
  lock_directory "$STATE"
  pid=$(first_process) || pid=
  [[ -z $pid || ! /proc/self/ns/net -ef /proc/$pid/ns/net ]] || fail "down was called inside the cluster: call it outside"
  stop_and_release
  say "cluster $NAME is gone after $(seconds_since "$start") s"
}

stop_and_release() {
  remove_remains
  release_machine
}

# remove_remains leaves the state directory, since its lock is held, but empty.
remove_remains() {
  stop_processes
  remove_cgroups_when_empty
  find "$STATE" -xdev -mindepth 1 -delete
}

# stop_processes ends process 1 first: the kernel then ends every process of its namespace, and mounts and interfaces
# go with the namespaces. What was started with 'run --net-only' would hold the network, so it goes too; and what is
# left in the cgroups is from a start that was cut off before it had namespaces.
stop_processes() {
  local pid processes
  if pid=$(first_process); then
    processes=$(network_processes "$pid")
    kill_processes "$pid"
    thaw_cgroups
    # shellcheck disable=SC2086 # a list of numbers
    kill_processes $processes
  fi
  wait_for 20 "the cluster's processes have ended" no_process_left
}

no_process_left() {
  local processes
  processes=$(cgroup_processes)
  [[ -n $processes ]] || return 0
  # shellcheck disable=SC2086 # a list of numbers
  kill_processes $processes
  return 1
}

# kill_processes PID…: some may have ended already.
kill_processes() { [[ $# == 0 ]] || kill -KILL "$@" 2>/dev/null || true; }

remove_cgroups_when_empty() {
  wait_for 20 "the cluster's cgroups can be removed" remove_cgroups
}
