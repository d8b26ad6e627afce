# Fault injection for pods and nodes. Each fault has an opposite, except kill, after which Kubernetes restarts the
# container. Nothing here uses the API server, so it works while that is unreachable.
# shellcheck shell=bash

chaos() {
  local verb=${1-}
  is_ready || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  (($# > 0)) || fail "chaos: expected a fault; 'cluster help' lists them"
  shift
  case $verb in
    kill | pause | resume) chaos_container "$verb" "$@" ;;
    cut | heal) chaos_network "$verb" "$@" ;;
    node-stop | node-start | partition | rejoin) chaos_node "$verb" "$@" ;;
    *) fail "chaos: unknown fault '$verb'; 'cluster help' lists them" ;;
  esac
}

# chaos_container kill|pause|resume NAMESPACE POD [CONTAINER]
chaos_container() {
  local verb=$1
  (($# == 3 || $# == 4)) || fail "chaos $verb: expected NAMESPACE POD [CONTAINER]"
  find_task container "$2" "$3" "${4-}"
  case $verb in
    kill) runtime_of_node tasks kill --signal SIGKILL "$TASK" ;;
    pause) runtime_of_node tasks pause "$TASK" ;;
    resume) runtime_of_node tasks resume "$TASK" ;;
  esac
}

# chaos_network cut|heal NAMESPACE POD: detaches the pod's interface from its node's bridge, or attaches it again.
chaos_network() {
  local verb=$1 interface peer
  (($# == 3)) || fail "chaos $verb: expected NAMESPACE POD"
  find_task sandbox "$2" "$3" ''
  # 2: eth0@if7: … means that the other end is interface 7 of the node
  interface=$(inside all nsenter --target "$TASK_PROCESS" --net -- ip -oneline link show eth0)
  peer=${interface#*@if}
  peer=$(on_node ip -oneline link | sed -n "s/^${peer%%:*}: \([^@:]*\).*/\1/p")
  case $verb in
    cut) on_node ip link set "$peer" down ;;
    heal) on_node ip link set "$peer" up ;;
  esac
}

# chaos_node node-stop|node-start|partition|rejoin NODE
chaos_node() {
  local verb=$1 number=${2#node}
  (($# == 2)) || fail "chaos $verb: expected the name of a node"
  cluster_nodes | grep -xF "$number" >/dev/null || fail "chaos $verb: cluster $NAME has no node '$2'"
  choose_node "$number"
  case $verb in
    node-stop) signal_kubelet STOP ;;
    node-start) signal_kubelet CONT ;;
    partition) partition_node ;;
    rejoin) rejoin_node ;;
  esac
}

signal_kubelet() { (inside all kill "-$1" "$(<"$NODE_STATE/kubelet.pid")"); }

# partition_node silently drops every packet between the node and the rest of the cluster.
partition_node() {
  [[ $NODE_NAME != node1 ]] || fail "chaos partition: the control plane is on node1; choose another node"
  (inside all nft -f -) <<-RULES
	table inet partition_$NODE_NAME {
	  chain input { type filter hook prerouting priority -500; iifname $NODE_NAME drop; }
	  chain output { type filter hook postrouting priority -500; oifname $NODE_NAME drop; }
	}
	RULES
}

rejoin_node() { (inside all nft delete table inet "partition_$NODE_NAME"); }

# find_task container|sandbox NAMESPACE POD CONTAINER sets TASK and TASK_PROCESS, and chooses the node that runs it. An
# empty CONTAINER selects a pod's only container.
find_task() {
  local node found=()
  for node in $(cluster_nodes); do
    choose_node "$node"
    mapfile -t found < <(tasks_of_pod "$@")
    ((${#found[@]} == 0)) || break
  done
  ((${#found[@]} > 0)) || fail "no $1 of pod $3 in namespace $2 ${4:+called $4 }is running"
  ((${#found[@]} == 1)) || fail "pod $3 in namespace $2 has ${#found[@]} containers: choose one"
  read -r TASK TASK_PROCESS <<<"${found[0]}"
}

# tasks_of_pod prints the ID and the process ID of each running container of a kind on the chosen node.
tasks_of_pod() {
  local filter="labels.\"io.cri-containerd.kind\"==$1,labels.\"io.kubernetes.pod.namespace\"==$2"
  filter+=",labels.\"io.kubernetes.pod.name\"==$3"
  [[ -z $4 ]] || filter+=",labels.\"io.kubernetes.container.name\"==$4"
  # A restarted container leaves its exited predecessors, which have no running task.
  awk 'NR == FNR { wanted[$1]; next } $1 in wanted && $3 != "STOPPED" { print $1, $2 }' \
    <(runtime_of_node containers list --quiet "$filter") <(runtime_of_node tasks list)
}

# on_node COMMAND… runs COMMAND in the chosen node's network namespace.
on_node() {
  local process=1
  [[ $NODE_NAME == node1 ]] || process=$(<"$NODE_STATE/pid")
  (inside all nsenter --target "$process" --net -- "$@")
}
