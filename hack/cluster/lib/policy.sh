# Enforces NetworkPolicies with kube-router's firewall on every node, if the cluster was started with --network-policy.
# shellcheck shell=bash

# build_policy builds kube-router if it is needed.
build_policy() {
  [[ $NETWORK_POLICY == no ]] || build_module policy
}

# choose_policy records the program's path for the nodes.
choose_policy() {
  [[ $NETWORK_POLICY == no ]] || echo "$MODULE_BIN/kube-router" >"$STATE/policy"
}

# need_policy fails if a running cluster does not enforce policies although the caller asks for it: a test of closed ports
# would pass or fail for the wrong reason.
need_policy() {
  [[ $NETWORK_POLICY == no || -e $STATE/policy ]] ||
    fail "cluster $NAME was started without --network-policy: remove it first"
}

# start_policy must run after the node is registered; otherwise kube-router exits at once.
start_policy() {
  [[ -e $STATE/policy ]] || return 0
  start kube-router "$(<"$STATE/policy")" --kubeconfig "$INSIDE_KUBECONFIG" --hostname-override "$NODE_NAME" \
    --run-firewall=true --run-router=false --run-service-proxy=false --run-loadbalancer=false \
    --service-cluster-ip-range "$SERVICE_RANGE" --health-port 20244 --metrics-port 0
  wait_for 30 "kube-router enforces policies" iptables --list-rules KUBE-ROUTER-FORWARD
}
