# Lists clusters, and shows a cluster's state and logs.
# shellcheck shell=bash

# cluster_state prints up, starting, stopped (only files are left) or absent.
cluster_state() {
  if is_ready; then
    echo up
  elif first_process >/dev/null; then
    echo starting
  elif [[ -d $STATE ]]; then
    echo stopped
  else
    echo absent
  fi
}

cluster_list() {
  local directory
  for directory in "$STATE_ROOT"/*/; do
    [[ -d $directory ]] || continue
    choose_cluster "$(basename "$directory")"
    printf '%s\t%s\n' "$NAME" "$(cluster_state)"
  done
}

# cluster_status succeeds if the cluster is up and its API server responds.
cluster_status() {
  local found tools
  found=$(cluster_state)
  printf 'cluster %s: %s\n' "$NAME" "$found"
  [[ $found == up ]] || return 1
  tools=$(<"$STATE/tools")
  printf 'memory: %s MB\n' "$(cluster_memory)"
  printf 'kubeconfig: %s\n' "$OUTSIDE_KUBECONFIG"
  printf 'tools: %s\n' "$tools"
  "$tools/kubectl" --kubeconfig "$OUTSIDE_KUBECONFIG" get nodes
  "$tools/kubectl" --kubeconfig "$OUTSIDE_KUBECONFIG" get pods --all-namespaces
}

# cluster_logs [COMPONENT]: without COMPONENT, lists the components.
cluster_logs() {
  local component=${1:-}
  [[ -d $LOGS ]] || fail "cluster $NAME has no logs: it is not up"
  if [[ -z $component ]]; then
    log_names
  elif [[ $component != */* && -r $LOGS/$component.log ]]; then
    cat "$LOGS/$component.log"
  else
    fail "logs '$component': expected one of $(log_names | xargs)"
  fi
}

log_names() { find "$LOGS" -name '*.log' -printf '%f\n' | sed 's/\.log$//' | sort; }

cluster_kubeconfig() {
  is_ready || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  echo "$OUTSIDE_KUBECONFIG"
}
