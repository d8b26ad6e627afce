# The few things on the machine that clusters share. The first cluster creates them, the last one removes them.
# shellcheck shell=bash

# Identifies the guard route in the machine's routing table, in the field proto, where numbers from 5 on are free to use.
GUARD_MARK=86

# prepare_machine registers this cluster by creating its directory.
prepare_machine() {
  lock_directory "$STATE_ROOT"
  local machine_lock=$LOCK
  mkdir -p "$STATE"
  add_guard_route
  make_mount_points
  load_module overlay
  load_bridge_filter
  unlock "$machine_lock"
}

# release_machine unregisters this cluster; the last cluster removes what all of them shared.
release_machine() {
  [[ -d $STATE_ROOT ]] || return 0
  lock_directory "$STATE_ROOT"
  local machine_lock=$LOCK
  [[ ! -d $STATE ]] || rmdir "$STATE"
  if [[ -z $(find "$STATE_ROOT" -mindepth 1 -maxdepth 1 -type d) ]]; then
    remove_guard_route
    remove_mount_points
    rmdir "$STATE_ROOT"
  fi
  unlock "$machine_lock"
}

# add_guard_route prevents packets for a cluster's addresses from leaving the machine. A cluster's namespace has no route
# out, but a program outside that connects to such an address would use the machine's default route. With the guard
# route it gets "no route to host" at once.
add_guard_route() {
  [[ -n $(ip -4 route show exact "$CLUSTER_RANGE") ]] || ip -4 route add unreachable "$CLUSTER_RANGE" proto $GUARD_MARK
}

remove_guard_route() {
  command -v ip >/dev/null || return 0
  [[ -z $(ip -4 route show exact "$CLUSTER_RANGE" proto $GUARD_MARK) ]] ||
    ip -4 route del unreachable "$CLUSTER_RANGE" proto $GUARD_MARK
}

make_mount_points() {
  local path
  for path in $MOUNT_POINTS; do
    make_recorded_directory "$path"
  done
}

# make_recorded_directory records the directories that it creates, parents first, so that only those are removed again.
make_recorded_directory() {
  [[ ! -d $1 ]] || return 0
  make_recorded_directory "$(dirname "$1")"
  mkdir "$1"
  echo "$1" >>"$STATE_ROOT/.made-directories"
}

remove_mount_points() {
  local made=$STATE_ROOT/.made-directories
  [[ -e $made ]] || return 0
  tac "$made" | xargs -d '\n' rmdir 2>/dev/null || true # a directory that is in use stays
  rm "$made"
}

# load_module NAME loads a module that the kernel does not load on demand.
load_module() {
  grep -qw "$1" /proc/filesystems || modprobe "$1" 2>/dev/null || true
}

# load_bridge_filter loads the filter for bridged packets, without which a reply between two pods of a node would bypass
# the translation of Service addresses. Loading it enables it for the whole machine, where it is disabled again so that
# other bridges work as before. Each cluster enables it in its own namespace.
load_bridge_filter() {
  [[ ! -d /proc/sys/net/bridge ]] || return 0
  modprobe br_netfilter 2>/dev/null || fail "the kernel module br_netfilter cannot be loaded"
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-arptables
}
