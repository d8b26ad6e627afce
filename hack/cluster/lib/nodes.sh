# Adds real nodes, each with its own network, mounts, containerd, kubelet and kube-proxy.
# shellcheck shell=bash

# NODE_LIMIT bounds one start, as START_LIMIT bounds a cluster's.
NODE_LIMIT=120

# cluster_nodes prints the numbers of the nodes that are up.
cluster_nodes() {
  local ready
  for ready in "$STATE"/node[0-9]*/ready; do
    [[ ! -e $ready ]] || { ready=${ready%/ready} && echo "${ready##*/node}"; }
  done | sort -n
}

# grow_cluster COUNT adds nodes until the cluster has COUNT.
grow_cluster() {
  [[ $1 =~ ^[1-9]$ ]] || fail "--nodes '$1': expected a number from 1 to 9"
  while (($(cluster_nodes | wc -l) < $1)); do
    (cluster_add_node) # in a subshell, whose exit releases the cluster's lock
  done
}

# cluster_add_node starts the next node and waits until it is ready.
cluster_add_node() {
  local start=$EPOCHREALTIME number=1
  is_ready || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  lock_directory "$STATE"
  TOOLS=$(dirname "$(<"$STATE/tools")")
  while [[ -e $STATE/node$number ]]; do ((++number)); done # a node whose start failed keeps its number
  choose_node "$number"
  mkdir "$NODE_STATE"
  create_node_cgroup
  start_node_namespaces "$number"
  wait_until_node_ready $!
  say "$NODE_NAME of cluster $NAME is up after $(seconds_since "$start") s"
}

# start_node_namespaces starts boot-node in the cluster, in new network, mount and host name namespaces.
start_node_namespaces() {
  (
    join_cgroups
    close_inherited_files
    cd /
    exec env -i PATH="$INSIDE_PATH" HOME=/root TMPDIR="$STATE/tmp" setsid \
      nsenter --target "$(first_process)" --net --mount --pid --ipc --uts -- \
      unshare --net --mount --uts --propagation private "$CLUSTER_HOME/boot-node" "$NAME" "$1" "$TOOLS"
  ) </dev/null >"$LOGS/${LOG_PREFIX}boot.log" 2>&1 &
}

# wait_until_node_ready STARTER: STARTER is the process that waits for the node's first process.
wait_until_node_ready() {
  local deadline=$((SECONDS + NODE_LIMIT))
  until [[ -e $NODE_STATE/ready ]]; do
    [[ -d /proc/$1 ]] || fail "$NODE_NAME did not start: $(tail -n 3 "$LOGS/${LOG_PREFIX}boot.log")"
    ((SECONDS < deadline)) || fail "$NODE_NAME is not ready within $NODE_LIMIT s; its logs: cluster logs ${LOG_PREFIX}…"
    sleep 0.1
  done
  disown "$1" # otherwise bash prints a message when it exits
}
