# Starts containerd, and imports the images that the cluster itself needs.
# shellcheck shell=bash

start_containerd() {
  configure pods.conflist >/dev/null
  start containerd containerd --config "$(configure containerd.toml)"
}

# import_system_images runs while the API server starts. If an image is missing when its pod is created, the pod waits for
# a back-off.
import_system_images() {
  local image import imports=()
  wait_for 30 "containerd is ready" runtime_client version
  for image in "$TOOLS"/images/*.tar; do
    # containerd unpacks an image when it is first used.
    runtime_client images import --no-unpack "$image" >"$LOGS/import-$(basename "$image").log" 2>&1 &
    imports+=($!)
  done
  for import in "${imports[@]}"; do
    wait "$import"
  done
}

# copy_images copies the first node's images to another node, by their names; those that are only the digest of the
# configuration follow from the content.
copy_images() {
  local images first=$STATE/node1/containerd/containerd.sock
  wait_for 30 "containerd is ready" runtime_client version
  mapfile -t images < <(ctr --address "$first" --namespace k8s.io images list --quiet | grep -v '^sha256:')
  ctr --address "$first" --namespace k8s.io images export - "${images[@]}" |
    runtime_client images import --no-unpack - >"$LOGS/${LOG_PREFIX}import.log" 2>&1
}

runtime_client() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }
