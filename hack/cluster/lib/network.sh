# The cluster's network, in namespaces of its own: a bridge for each node's pods, a link from each further node to the
# first, no default route, no link to the machine. No packet can leave, whatever runs here.
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

# link_to_first_node joins a further node's network to the first node's, which is that of process 1. Its own address
# answers on the link too, so the link needs no addresses.
link_to_first_node() {
  ip link add uplink type veth peer name "$NODE_NAME" netns 1
  ip link set uplink up
  ip route add "$API_ADDRESS" dev uplink src "$NODE_ADDRESS"
  ip route add "$NODES_RANGE" via "$API_ADDRESS" src "$NODE_ADDRESS"
  on_first_node ip link set "$NODE_NAME" up
  on_first_node ip route add "$NODE_ADDRESS" dev "$NODE_NAME" src "$API_ADDRESS"
  on_first_node ip route add "$POD_RANGE" via "$NODE_ADDRESS" src "$API_ADDRESS"
}

on_first_node() { nsenter --target 1 --net -- "$@"; }

# start_forwarder serves the listener that was opened outside. It comes before all other programs, which must not
# inherit that listener: they would keep the port open when the forwarder is gone.
start_forwarder() {
  start forward "$TOOLS/bin/forward" serve 127.0.0.1:6443
  exec 3<&-
}
