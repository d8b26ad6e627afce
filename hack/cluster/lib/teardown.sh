# Removes a cluster in any state: running, partly started, or left over from before a reboot.
# shellcheck shell=bash

cluster_down() {
  local pid start=$EPOCHREALTIME
  [[ $EUID == 0 ]] || fail "removing a cluster needs root"
  if ! [[ -d $STATE || -n $(cluster_cgroups) ]]; then
    say "cluster $NAME is not up: nothing to remove"
    return
  fi
  lock_directory "$STATE"
  pid=$(first_process) || pid=
  [[ -z $pid || ! /proc/self/ns/net -ef /proc/$pid/ns/net ]] || fail "down cannot be called inside the cluster"
  stop_and_release
  say "cluster $NAME is removed after $(seconds_since "$start") s"
}

stop_and_release() {
  remove_leftovers
  release_machine
}

# remove_leftovers empties the state directory but keeps it, since its lock is held.
remove_leftovers() {
  stop_processes
  remove_cgroups_when_empty
  find "$STATE" -xdev -mindepth 1 -delete
}

# stop_processes kills process 1 first: the kernel then kills every process of its namespace, and removes mounts and
# interfaces with the namespaces. Processes started with 'run --net-only' would keep the network namespace, so they are
# killed too. Processes left in the cgroups come from a start that was interrupted before it had namespaces.
stop_processes() {
  local pid processes
  if pid=$(first_process); then
    processes=$(network_processes "$pid")
    kill_processes "$pid"
    thaw_cgroups
    # shellcheck disable=SC2086 # a list of numbers
    kill_processes $processes
  fi
  wait_for 20 "the cluster's processes have exited" no_process_left
}

no_process_left() {
  local processes
  processes=$(cgroup_processes)
  [[ -n $processes ]] || return 0
  # shellcheck disable=SC2086 # a list of numbers
  kill_processes $processes
  return 1
}

# kill_processes PID…: ignores those that have already exited.
kill_processes() { [[ $# == 0 ]] || kill -KILL "$@" 2>/dev/null || true; }

remove_cgroups_when_empty() {
  wait_for 20 "the cluster's cgroups can be removed" remove_cgroups
}
