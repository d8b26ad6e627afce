# What the cluster's programs see of the machine's files.
# shellcheck shell=bash

# What the kubelet sets on every machine it runs on (setupKernelTunables in pkg/kubelet/cm).
KUBELET_TUNABLES="vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000"

# note_own_number writes down which process of the machine this is, while /proc still shows the machine's numbers.
note_own_number() {
  local number
  read -r number _ </proc/self/stat
  echo "$number" >"$STATE/pid"
}

isolate_filesystem() {
  mount -t proc proc /proc
  shield_kernel_settings
  # On tmpfs etcd need not wait for a disk, and nothing of it is left when the cluster ends.
  mkdir -p "$STATE/etcd"
  mount -t tmpfs -o mode=0700 tmpfs "$STATE/etcd"
  isolate_node
}

# isolate_node gives a node mounts of its own.
isolate_node() {
  mount --make-rshared / # the kubelet needs to share mounts with containers; none reaches the machine
  mount_private_directories
  mkdir -p "$NODE_STATE/containerd/root"
  mount -t tmpfs -o mode=0711 tmpfs "$NODE_STATE/containerd/root"
}

# forget_other_nodes lets go of what a mount namespace has when it is made of another node's: copies of the mounts of
# that one's containers, which would hold them when they are long gone.
forget_other_nodes() {
  local mounts
  mapfile -t mounts < <(findmnt --noheadings --raw --output TARGET | grep -E "^$STATE/node[0-9]+/" | sort --reverse)
  ((${#mounts[@]} == 0)) || umount --lazy "${mounts[@]}"
}

# mount_private_directories covers the paths that programs have compiled in, so that two clusters do not meet there
# and no file is left behind.
mount_private_directories() {
  local directory
  for directory in /run $MOUNT_POINTS; do
    mount -t tmpfs -o mode=0755 tmpfs "$directory"
  done
}

# shield_kernel_settings shows the kubelet the values it wants in place of the kernel's own. Otherwise it would set
# them, for the whole machine and beyond the cluster's end.
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
