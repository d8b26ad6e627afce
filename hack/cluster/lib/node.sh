# Starts a node's kubelet and kube-proxy.
# shellcheck shell=bash

start_kubelet() {
  : >"$NODE_STATE/resolv.conf" # no name server but the cluster's, so lookups of other names fail at once
  start kubelet "$TOOLS/bin/kubelet" --config "$(configure kubelet.yaml)" --kubeconfig "$PKI/$NODE_NAME.kubeconfig" \
    --hostname-override "$NODE_NAME" --node-ip "$NODE_ADDRESS" --root-dir "$NODE_STATE/kubelet"
}

start_kube_proxy() {
  start kube-proxy "$TOOLS/bin/kube-proxy" --config "$(configure kube-proxy.yaml)"
}

wait_for_node() {
  wait_for 60 "node $NODE_NAME is registered" kubectl get node "$NODE_NAME"
  wait_for 60 "node $NODE_NAME is ready" kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=10s
}
