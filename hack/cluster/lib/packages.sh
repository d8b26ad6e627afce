# The packages of the Linux distribution that a cluster needs.
# shellcheck shell=bash

CNI_PLUGINS=/usr/lib/cni

# needed_packages prints lines with a program or file and the Debian package that contains it.
needed_packages() {
  cat <<-LIST
	containerd containerd
	runc runc
	$CNI_PLUGINS/bridge containernetworking-plugins
	$CNI_PLUGINS/host-local containernetworking-plugins
	nft nftables
	ip iproute2
	openssl openssl
	modprobe kmod
	mount mount
	unshare util-linux
	findmnt util-linux
	/etc/ssl/certs/ca-certificates.crt ca-certificates
	LIST
  [[ ${NETWORK_POLICY-no} == no ]] || printf '%s\n' "iptables iptables" "ipset ipset"
  [[ ${NEEDS-} != postgres ]] || echo "/usr/lib/postgresql postgresql"
}

# missing_packages prints the missing packages on one line.
missing_packages() {
  local thing package missing=()
  while read -r thing package; do
    command -v "$thing" >/dev/null || [[ $thing == /* && -r $thing ]] || missing+=("$package")
  done < <(needed_packages)
  printf '%s\n' "${missing[@]}" | sort -u | xargs
}

# install_packages holds a lock: apt-get does not wait for another apt-get that reads its lists.
install_packages() {
  [[ -n $(missing_packages) ]] || return 0
  lock_directory "$CACHE/packages"
  local packages_lock=$LOCK missing
  missing=$(missing_packages) # another call may have installed them meanwhile
  [[ -z $missing ]] || install_missing "$missing"
  unlock "$packages_lock"
}

# install_missing PACKAGES
install_missing() {
  local missing=$1
  if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
    fail "these packages are missing (Debian's names): $missing"
  fi
  local start=$EPOCHREALTIME log
  log=$(mktemp)
  printf 'installing %s …' "$missing" >&2
  # shellcheck disable=SC2086 # a list of words
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    printf ' failed\n' >&2
    tail -n 10 "$log" >&2
    fail "apt-get could not install: $missing (its output is in $log)"
  fi
  rm "$log"
  printf ' %s s\n' "$(seconds_since "$start")" >&2
}
