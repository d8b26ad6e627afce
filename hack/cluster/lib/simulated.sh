# Simulated nodes: their pods have the status Running but do not run. They measure what thousands of pods cost the
# control plane and its clients. KWOK simulates the kubelets.
# shellcheck shell=bash

# SIMULATED_PODS are the addresses in such pods' status. They have no route, so connecting to one fails at once.
SIMULATED_PODS=198.18.240.0/20

# cluster_simulate_nodes COUNT: nodes simulated-1 to simulated-COUNT, each for 5000 pods that tolerate its taint.
cluster_simulate_nodes() {
  local count=$1 number
  [[ $count =~ ^[1-9][0-9]?$ ]] || fail "simulate-nodes '$count': expected a number from 1 to 99"
  is_ready || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  build_module simulated
  lock_directory "$STATE"
  [[ -e $STATE/kwok.yaml ]] || start_kwok
  for ((number = 1; number <= count; number++)); do simulated_node "simulated-$number"; done |
    "$(<"$STATE/tools")/kubectl" --kubeconfig "$OUTSIDE_KUBECONFIG" apply -f - >"$LOGS/simulated-nodes.log"
  "$(<"$STATE/tools")/kubectl" --kubeconfig "$OUTSIDE_KUBECONFIG" wait nodes --selector rosey.local/simulated=true \
    --for=condition=Ready --timeout=60s >>"$LOGS/simulated-nodes.log"
}

start_kwok() {
  write_stages >"$STATE/kwok.yaml"
  (
    join_cgroups
    close_inherited_files
    cd /
    # Leases are renewed well within the control plane's short grace period.
    exec env -i PATH="$INSIDE_PATH" HOME=/root TMPDIR="$STATE/tmp" setsid \
      nsenter --target "$(first_process)" --net --mount --pid --ipc --uts -- "$MODULE_BIN/kwok" \
      --kubeconfig "$INSIDE_KUBECONFIG" --config "$STATE/kwok.yaml" --cidr "$SIMULATED_PODS" \
      --manage-nodes-with-label-selector rosey.local/simulated=true --node-lease-duration-seconds 8
  ) </dev/null >"$LOGS/kwok.log" 2>&1 &
  disown
}

# write_stages prints the life cycle of simulated nodes and pods, from KWOK's module.
write_stages() {
  local stages stage
  stages=$(cd "$CLUSTER_HOME/simulated" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
  for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease \
    pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    echo "---"
    cat "$stages/$stage.yaml"
  done
}

simulated_node() {
  cat <<-NODE
	---
	apiVersion: v1
	kind: Node
	metadata:
	  name: $1
	  labels: {rosey.local/simulated: "true", kubernetes.io/hostname: $1, kubernetes.io/os: linux}
	spec:
	  taints: [{key: rosey.local/simulated, effect: NoSchedule}]
	status:
	  allocatable: {cpu: "256", memory: 1Ti, pods: "5000"}
	  capacity: {cpu: "256", memory: 1Ti, pods: "5000"}
	NODE
}
