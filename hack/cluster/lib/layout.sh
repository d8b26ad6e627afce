# Names, addresses and paths of a cluster. Nothing in this file changes anything.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files use what is set here

# 198.18.0.0/15 is reserved for benchmarks inside one network (RFC 2544). Unlike 10.0.0.0/8 it is not used by offices and
# VPNs, so that the machine can refuse to route it.
CLUSTER_RANGE=198.18.0.0/15
NODES_RANGE=198.18.0.0/16 # all nodes and their pods
SERVICE_RANGE=198.19.0.0/16
API_SERVICE_ADDRESS=198.19.0.1
DNS_ADDRESS=198.19.0.10

API_ADDRESS=198.18.1.1 # the first node's: the control plane runs beside it
POD_BRIDGE=pods

PAUSE_IMAGE=rosey.local/pause:1
COREDNS_IMAGE=rosey.local/coredns:1

# Paths that are hard-coded in the kubelet and in containerd's network code. Each cluster mounts its own filesystem there,
# which needs an existing directory.
MOUNT_POINTS="/var/lib/kubelet /var/lib/cni /var/log/containers"

STATE_ROOT=/var/lib/rosey-cluster
CACHE=${ROSEY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/rosey}/cluster

# choose_cluster NAME: everything of that cluster is below STATE and in cgroups called CGROUP.
choose_cluster() {
  if ! [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]]; then
    fail "--name '$1': expected up to 32 lower-case letters, digits and dashes, with no dash at either end"
  fi
  NAME=$1
  CGROUP=rosey-$NAME
  STATE=$STATE_ROOT/$NAME
  LOGS=$STATE/log
  PKI=$STATE/pki
  INSIDE_KUBECONFIG=$STATE/kubeconfig-inside
  OUTSIDE_KUBECONFIG=$STATE/kubeconfig
}

# choose_node NUMBER, from 1: everything of that node is below NODE_STATE, and its pods are in cgroups below
# NODE_CGROUP. A node's address is also its pods' gateway. The first node's logs have no prefix.
choose_node() {
  NODE_NAME=node$1
  NODE_STATE=$STATE/$NODE_NAME
  NODE_CGROUP=$CGROUP/$NODE_NAME
  NODE_ADDRESS=198.18.$1.1
  POD_RANGE=198.18.$1.0/24
  FIRST_POD_ADDRESS=198.18.$1.10
  CONTAINERD_SOCKET=$NODE_STATE/containerd/containerd.sock
  LOG_PREFIX=$NODE_NAME-
  [[ $1 != 1 ]] || LOG_PREFIX=
}
