# shellcheck shell=bash
# Takes the demo out of a cluster that stays.

remove_from_cluster() {
  say "removing the demo from the cluster of $kubeconfig"
  kubectl delete roseybots --all --namespace "$namespace" --ignore-not-found >/dev/null 2>&1 || true
  kubectl delete namespace "$namespace" --ignore-not-found
  helm uninstall rosey-operator --namespace "$operator_namespace" --ignore-not-found --wait
  # The chart keeps the CRD so that an uninstall by mistake does not delete bots; here it is meant.
  kubectl delete crd roseybots.rosey.dev --ignore-not-found
  kubectl delete namespace "$operator_namespace" --ignore-not-found
  remove_images
}
