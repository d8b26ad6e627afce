# Isolates the cluster's programs from the machine's files and kernel settings.
# shellcheck shell=bash

# Kernel settings that the kubelet changes on its machine (setupKernelTunables in pkg/kubelet/cm).
KUBELET_TUNABLES="vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000"

# record_own_pid writes down this process's ID on the machine. It must run while /proc is still the machine's.
record_own_pid() {
  local pid
  read -r pid _ </proc/self/stat
  echo "$pid" >"$STATE/pid"
}

isolate_filesystem() {
  mount -t proc proc /proc
  shield_kernel_settings
  # On tmpfs, etcd does not wait for a disk, and its data disappears with the cluster.
  mkdir -p "$STATE/etcd"
  mount -t tmpfs -o mode=0700 tmpfs "$STATE/etcd"
  isolate_node
}

# isolate_node gives a node its own mounts.
isolate_node() {
  mount --make-rshared / # the kubelet needs to share mounts with containers; none reaches the machine
  mount_private_directories
  mkdir -p "$NODE_STATE/containerd/root"
  mount -t tmpfs -o mode=0711 tmpfs "$NODE_STATE/containerd/root"
}

# unmount_other_nodes unmounts what a mount namespace inherits from another node: copies of its containers' mounts, which
# would keep them in use after the containers have ended.
unmount_other_nodes() {
  local mounts target message
  mapfile -t mounts < <(findmnt --noheadings --raw --output TARGET | grep -E "^$STATE/node[0-9]+/" | sort --reverse)
  for target in "${mounts[@]}"; do
    # It is gone if its container has ended meanwhile: whoever removes a file or directory removes the mounts on it in
    # every namespace.
    message=$(umount --lazy "$target" 2>&1) || ! findmnt --mountpoint "$target" >/dev/null ||
      { echo "$message" >&2; return 1; }
  done
}

# mount_private_directories mounts empty filesystems over the programs' hard-coded paths, so that two clusters do not
# share them and no file stays.
mount_private_directories() {
  local directory
  for directory in /run $MOUNT_POINTS; do
    mount -t tmpfs -o mode=0755 tmpfs "$directory"
  done
}

# shield_kernel_settings mounts files with the expected values over the kernel's. Otherwise the kubelet would change the
# settings for the whole machine, and they would outlast the cluster.
shield_kernel_settings() {
  local tunable name
  mkdir -p "$STATE/tunables"
  for tunable in $KUBELET_TUNABLES; do
    name=${tunable%=*}
    [[ -e /proc/sys/$name ]] || continue
    echo "${tunable#*=}" >"$STATE/tunables/${name//\//.}"
    mount --bind "$STATE/tunables/${name//\//.}" "/proc/sys/$name"
  done
}
