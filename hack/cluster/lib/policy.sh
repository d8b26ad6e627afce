# NetworkPolicies in force: kube-router's firewall on every node, when the cluster was started with --network-policy.
# shellcheck shell=bash

# build_policy builds the program that enforces policies, if it is asked for.
build_policy() {
  [[ $NETWORK_POLICY == no ]] || build_module policy
}

# choose_policy writes the program down for the nodes' starts.
choose_policy() {
  [[ $NETWORK_POLICY == no ]] || echo "$MODULE_BIN/kube-router" >"$STATE/policy"
}

# need_policy fails when a cluster that is up lacks what is asked for: a test of what is closed would pass or fail for
# the wrong reason.
need_policy() {
  [[ $NETWORK_POLICY == no || -e $STATE/policy ]] ||
    fail "cluster $NAME was started without --network-policy: take it down first"
}

# start_policy comes when the node is registered, without which the program ends at once.
start_policy() {
  [[ -e $STATE/policy ]] || return 0
  start kube-router "$(<"$STATE/policy")" --kubeconfig "$INSIDE_KUBECONFIG" --hostname-override "$NODE_NAME" \
    --run-firewall=true --run-router=false --run-service-proxy=false --run-loadbalancer=false \
    --service-cluster-ip-range "$SERVICE_RANGE" --health-port 20244 --metrics-port 0
  wait_for 30 "kube-router guards the pods" iptables --list-rules KUBE-ROUTER-FORWARD
}
