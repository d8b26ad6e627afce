# The cluster's network, inside its own namespace: one bridge, no default route, no link to the machine. No packet
# can leave, whatever runs here.
# shellcheck shell=bash

start_network() {
  echo "$NODE_NAME" >/proc/sys/kernel/hostname
  ip link set lo up
  ip link add "$POD_BRIDGE" type bridge
  ip addr add "$NODE_ADDRESS/24" dev "$POD_BRIDGE"
  ip link set "$POD_BRIDGE" up
  # The kernel looks for a route before kube-proxy translates a Service's address, so there has to be one, and a
  # blackhole would refuse the connection right there.
  ip route add "$SERVICE_RANGE" dev "$POD_BRIDGE" src "$NODE_ADDRESS"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
}

# start_forwarder serves the listener that was opened outside. It comes before all other programs, which must not
# inherit that listener: they would keep the port open when the forwarder is gone.
start_forwarder() {
  start forward "$TOOLS/bin/forward" serve 127.0.0.1:6443
  exec 3<&-
}
