# The cluster's network, in its own namespaces: a bridge for each node's pods and a link from each added node to the
# first. Without a default route and a link to the machine, no packet can leave.
# shellcheck shell=bash

start_network() {
  echo "$NODE_NAME" >/proc/sys/kernel/hostname
  ip link set lo up
  # Without an address of its own, a bridge takes the lowest of its ports'. That changes when pods come and go, and the
  # others would send to the old one for seconds.
  ip link add "$POD_BRIDGE" address 02:00:00:00:00:01 type bridge
  ip addr add "$NODE_ADDRESS/24" dev "$POD_BRIDGE"
  ip link set "$POD_BRIDGE" up
  # The kernel needs a route to a Service's address before kube-proxy's rules translate it. A blackhole route would
  # refuse the connection.
  ip route add "$SERVICE_RANGE" dev "$POD_BRIDGE" src "$NODE_ADDRESS"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
}

# link_to_first_node connects an added node's network to the first node's, which is that of process 1. The node's address
# is reachable through the link too, so the link needs no addresses.
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

# start_forwarder serves the listener that was opened outside. It must start before all other programs, which would
# otherwise inherit the listener and keep the port open after the forwarder exits.
start_forwarder() {
  start forward "$TOOLS/bin/forward" serve 127.0.0.1:6443
  exec 3<&-
}
