# Starts the cluster's programs as children of process 1, writes their configuration, and reports when one exits.
# shellcheck shell=bash

declare -A COMPONENTS # process ID -> name

# start NAME COMMAND…: runs COMMAND in the background, with its output in the log NAME and its process ID, in the
# cluster's process namespace, in the node's file NAME.pid.
start() {
  local name=$1
  shift
  "$@" >"$LOGS/$LOG_PREFIX$name.log" 2>&1 &
  COMPONENTS[$!]=$LOG_PREFIX$name
  echo $! >"$NODE_STATE/$name.pid"
}

# configure FILE: writes the template config/FILE to the node's state, with its @NAMES@ filled in, and prints the path.
configure() {
  local target=$NODE_STATE/config/$1
  mkdir -p "$NODE_STATE/config"
  sed -e "s|@NODE_STATE@|$NODE_STATE|g" -e "s|@PKI@|$PKI|g" -e "s|@NODE_CGROUP@|$NODE_CGROUP|g" \
    -e "s|@NODE_NAME@|$NODE_NAME|g" -e "s|@NODE_ADDRESS@|$NODE_ADDRESS|g" \
    -e "s|@POD_BRIDGE@|$POD_BRIDGE|g" -e "s|@POD_RANGE@|$POD_RANGE|g" \
    -e "s|@FIRST_POD_ADDRESS@|$FIRST_POD_ADDRESS|g" -e "s|@DNS_ADDRESS@|$DNS_ADDRESS|g" \
    -e "s|@CONTAINERD_SOCKET@|$CONTAINERD_SOCKET|g" \
    -e "s|@PAUSE_IMAGE@|$PAUSE_IMAGE|g" -e "s|@COREDNS_IMAGE@|$COREDNS_IMAGE|g" \
    "$CLUSTER_HOME/config/$1" >"$target"
  echo "$target"
}

# watch_components keeps process 1 alive, reaps orphans, and reports each program of the cluster that exits. The others
# keep running.
watch_components() {
  local ended
  while :; do
    ended=
    wait -n -p ended || true
    if [[ -n $ended ]]; then
      say "${COMPONENTS[$ended]:-process $ended} has exited; its log is in $LOGS"
    else
      sleep 1
    fi
  done
}

kubectl() { "$TOOLS/bin/kubectl" --kubeconfig "$INSIDE_KUBECONFIG" "$@"; }
