# shellcheck shell=bash
# Removes the demo from a cluster that the demo did not create.

remove_from_cluster() {
  say "removing the demo from the cluster of $kubeconfig"
  kubectl delete roseybots --all --namespace "$namespace" --ignore-not-found >/dev/null 2>&1 || true
  kubectl delete namespace "$namespace" --ignore-not-found
  helm uninstall rosey-operator --namespace "$operator_namespace" --ignore-not-found --wait
  # The chart keeps the CRD, so that an accidental uninstall does not delete bots. Here it must go too.
  kubectl delete crd roseybots.rosey.dev --ignore-not-found
  kubectl delete namespace "$operator_namespace" --ignore-not-found
  remove_images
}
