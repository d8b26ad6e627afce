# Checks whether this machine can run a cluster. Each reason is one line.
# shellcheck shell=bash

# check_machine prints why the machine cannot run a cluster and fails, or prints nothing.
check_machine() {
  [[ $(uname -s) == Linux ]] || { echo "not Linux"; return 1; }
  [[ $EUID == 0 ]] || { echo "not root"; return 1; }
  command -v go >/dev/null || { echo "Go is not installed"; return 1; }
  local missing
  missing=$(missing_packages)
  [[ -z $missing ]] || command -v apt-get >/dev/null || { echo "missing, and no apt-get: $missing"; return 1; }
  unshare --net --mount --pid --ipc --uts --fork --mount-proc true 2>/dev/null ||
    { echo "namespaces cannot be created (is this an unprivileged container?)"; return 1; }
  can_mount_overlay || { echo "overlay filesystems cannot be mounted"; return 1; }
  ! command -v ip >/dev/null || unshare --net ip link add try type bridge 2>/dev/null ||
    { echo "network bridges cannot be created"; return 1; }
  check_cgroups
}

# can_mount_overlay tries the mount that containerd makes for every container, in a temporary mount namespace.
can_mount_overlay() {
  load_module overlay
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --propagation private sh -c 'mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir low up work all &&
    mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=work all' 2>/dev/null
}

describe_machine() {
  echo "root, namespaces, cgroup v$(cgroup_version), $(go env GOVERSION)"
}
