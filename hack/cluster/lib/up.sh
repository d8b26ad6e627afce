# Starts a cluster and waits until it is ready.
# shellcheck shell=bash

# START_LIMIT is far above the 10 s of an idle machine: beside a big build, a start can take many times as long.
START_LIMIT=180

cluster_up() {
  local reason
  reason=$(check_machine) || fail "this machine does not allow a cluster: $reason"
  install_packages
  build_tools
  build_policy
  lock_directory "$STATE"
  local state_lock=$LOCK
  if is_ready; then
    need_policy
    say "cluster $NAME is already up"
  else
    start_cluster
  fi
  unlock "$state_lock"
}

start_cluster() {
  local start=$EPOCHREALTIME
  remove_leftovers # of an interrupted start, or from before the machine's last reboot
  trap 'say "interrupted: removing what was started"; stop_and_release; exit 130' INT TERM
  say "starting cluster $NAME: about 10 s"
  prepare_machine
  choose_node 1
  create_cgroups
  create_node_cgroup
  chmod 0711 "$STATE" # only root may list it, but containers' users must be able to traverse it
  mkdir "$LOGS" "$STATE/tmp"
  : >"$LOGS/boot.log"
  echo "$TOOLS/bin" >"$STATE/tools" # the build that this cluster was started with
  choose_policy
  start_namespaces
  local starter=$!
  disown # otherwise bash prints a message when it exits
  wait_until_ready $starter
  trap - INT TERM
  say "cluster $NAME is up after $(seconds_since "$start") s"
}

# is_ready reports whether the cluster is running and its start has completed.
is_ready() { [[ -e $STATE/ready ]] && first_process >/dev/null; }

# wait_until_ready STARTER shows the start's output while it waits. STARTER is the process that waits for the cluster's
# process 1, and so ends with it.
wait_until_ready() {
  local deadline=$((SECONDS + START_LIMIT)) shown=0 lines
  while :; do
    mapfile -t -s $shown lines <"$LOGS/boot.log"
    ((${#lines[@]} == 0)) || say "$(printf '%s\n' "${lines[@]}")"
    ((shown += ${#lines[@]})) || true
    [[ ! -e $STATE/ready ]] || return 0
    [[ -d /proc/$1 ]] || start_failed "its first process exited"
    ((SECONDS < deadline)) || start_failed "not ready within $START_LIMIT s"
    sleep 0.1
  done
}

# start_failed REASON removes everything but the logs.
start_failed() {
  stop_processes
  remove_cgroups_when_empty
  fail "cluster $NAME did not start: $1; its logs are in $LOGS until 'cluster down --name $NAME'"
}

print_kubeconfig_hint() {
  say "  export KUBECONFIG=$OUTSIDE_KUBECONFIG"
}
