# The few things that clusters share on the machine itself. They come with the first cluster and go with the last.
# shellcheck shell=bash

# Marks the guard route as ours in the machine's routing table (the field proto): numbers from 5 on are free to use.
GUARD_MARK=86

# prepare_machine counts this cluster in, by its directory.
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

# release_machine counts this cluster out; the last one takes with it what all of them shared.
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

# add_guard_route keeps packets for a cluster's addresses from leaving the machine. A cluster's own namespace has no
# way out at all; but a program outside that dials such an address would follow the machine's default route. With the
# guard it gets "no route to host" at once.
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
    make_noted_directory "$path"
  done
}

# make_noted_directory writes down what it had to make, parents first, so that only that is removed again.
make_noted_directory() {
  [[ ! -d $1 ]] || return 0
  make_noted_directory "$(dirname "$1")"
  mkdir "$1"
  echo "$1" >>"$STATE_ROOT/.made-directories"
}

remove_mount_points() {
  local made=$STATE_ROOT/.made-directories
  [[ -e $made ]] || return 0
  tac "$made" | xargs -d '\n' rmdir 2>/dev/null || true # one that somebody else has begun to use stays
  rm "$made"
}

# load_module NAME: for the features that the kernel does not load by itself when they are first asked for.
load_module() {
  grep -qw "$1" /proc/filesystems || modprobe "$1" 2>/dev/null || true
}

# load_bridge_filter loads the filter for bridged packets, without which an answer between two pods of a node would
# skip the Service translation. Loaded afresh it is on for the whole machine; there it is switched off again, so that
# other bridges work as before. Each cluster switches it on in its own namespace.
load_bridge_filter() {
  [[ ! -d /proc/sys/net/bridge ]] || return 0
  modprobe br_netfilter 2>/dev/null || fail "the kernel module br_netfilter cannot be loaded"
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
  echo 0 >/proc/sys/net/bridge/bridge-nf-call-arptables
}
