# containerd and the images that the cluster itself needs.
# shellcheck shell=bash

start_containerd() {
  configure pods.conflist >/dev/null
  start containerd containerd --config "$(configure containerd.toml)"
}

# import_own_images runs while the API server starts. An image that is not there when its pod is made costs a back-off.
import_own_images() {
  local image import imports=()
  wait_for 30 "containerd answers" runtime_client version
  for image in "$TOOLS"/images/*.tar; do
    # The runtime unpacks an image at its first use.
    runtime_client --namespace k8s.io images import --no-unpack "$image" >"$LOGS/import-$(basename "$image").log" 2>&1 &
    imports+=($!)
  done
  for import in "${imports[@]}"; do
    wait "$import"
  done
}

runtime_client() { ctr --address "$CONTAINERD_SOCKET" "$@"; }
