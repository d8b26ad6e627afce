# etcd, the API server, the controller manager and the scheduler, as plain processes.
# shellcheck shell=bash

start_etcd() {
  start etcd "$TOOLS/bin/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
}

start_apiserver() {
  # Pods are evicted from an unreachable node after 5 s instead of 5 minutes, so that tests need not wait.
  start kube-apiserver "$TOOLS/bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
    --secure-port 6443 --bind-address 0.0.0.0 --advertise-address "$API_ADDRESS" \
    --cert-dir "$STATE/kube-apiserver" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
    --client-ca-file "$PKI/ca.crt" --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/service-accounts.pub" \
    --service-account-signing-key-file "$PKI/service-accounts.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$PKI/admin.crt" --kubelet-client-key "$PKI/admin.key" \
    --requestheader-client-ca-file "$PKI/aggregation-ca.crt" --requestheader-allowed-names aggregation \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/aggregation.crt" --proxy-client-key-file "$PKI/aggregation.key" \
    --service-cluster-ip-range "$SERVICE_RANGE" --allow-privileged \
    --default-not-ready-toleration-seconds 5 --default-unreachable-toleration-seconds 5
}

wait_for_apiserver() {
  wait_for 60 "kube-apiserver is ready" kubectl get --raw /readyz
}

start_controller_manager() {
  local config=$PKI/controller-manager.kubeconfig
  # The rates are high enough for hundreds of objects in seconds; the two node settings detect a dead node after 10 s.
  start kube-controller-manager "$TOOLS/bin/kube-controller-manager" --kubeconfig "$config" \
    --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --bind-address 127.0.0.1 --cert-dir "$STATE/kube-controller-manager" --leader-elect=false \
    --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/service-accounts.key" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --use-service-account-credentials --flex-volume-plugin-dir "$STATE/volume-plugins" \
    --kube-api-qps 500 --kube-api-burst 1000 --concurrent-deployment-syncs 20 --concurrent-replicaset-syncs 20 \
    --concurrent-service-endpoint-syncs 10 --concurrent-namespace-syncs 20 --concurrent-gc-syncs 20 \
    --node-monitor-period 1s --node-monitor-grace-period 10s
}

start_scheduler() {
  local config=$PKI/scheduler.kubeconfig
  start kube-scheduler "$TOOLS/bin/kube-scheduler" --kubeconfig "$config" \
    --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --bind-address 127.0.0.1 --cert-dir "$STATE/kube-scheduler" --leader-elect=false \
    --kube-api-qps 500 --kube-api-burst 1000
}
