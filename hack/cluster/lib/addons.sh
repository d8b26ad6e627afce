# Add-ons that every cluster needs: DNS for Services, and volumes for PersistentVolumeClaims.
# shellcheck shell=bash

start_provisioner() {
  mkdir -p "$STATE/volumes"
  start provisioner "$TOOLS/bin/provisioner" -kubeconfig "$INSIDE_KUBECONFIG" -root "$STATE/volumes"
}

apply_addons() {
  kubectl apply -f "$(configure coredns.yaml)" -f "$(configure storage-class.yaml)" >"$LOGS/addons.log"
}

wait_for_addons() {
  kubectl get storageclass standard >>"$LOGS/addons.log"
  kubectl rollout status --namespace kube-system deployment/coredns --timeout=60s >>"$LOGS/addons.log"
}
