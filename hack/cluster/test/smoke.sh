#!/bin/bash
# Starts two clusters at the same time, tests them, kills the start of a third, and checks that nothing is left behind.
# Prints one line for each check, and the counts at the end.
set -uo pipefail

TEST_HOME=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
CLUSTER=$TEST_HOME/../cluster
NAMES="smoke-a smoke-b smoke-c"
WORK=$(mktemp -d)
LIMIT=90 # seconds, far longer than anything takes on a busy machine
PASSED=0
FAILED=0

main() {
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  "$CLUSTER" build --network-policy || exit 1
  PATH=$("$CLUSTER" bin):$PATH
  remove_all # leftovers of an earlier run would be in the lists
  list_machine_state | sort >"$WORK/list_machine_state"
  list_shared_state | sort >"$WORK/list_shared_state"

  check_images
  boot_two
  check_first
  check_second
  check_removal_of_first
  check_killed_start
  check_nothing_left
  echo "after $SECONDS s: memory of one cluster with its pods ${MEMORY:-unknown} MB"
  echo "$PASSED passed, $FAILED failed"
  [[ $FAILED == 0 ]]
}

# ok CHECK COMMAND…: COMMAND must succeed.
ok() {
  local check=$1 output
  shift
  if output=$("$@" 2>&1); then passed "$check"; else failed "$check" "$output"; fi
}

# refused CHECK COMMAND…: COMMAND must fail.
refused() {
  local check=$1 output
  shift
  if output=$("$@" 2>&1); then failed "$check" "it succeeded: $output"; else passed "$check"; fi
}

# prints CHECK TEXT COMMAND…: COMMAND must print TEXT.
prints() {
  local check=$1 text=$2 output
  shift 2
  output=$("$@" 2>&1)
  if [[ $output == *"$text"* ]]; then passed "$check"; else failed "$check" "expected '$text' in: $output"; fi
}

passed() {
  echo "ok   $1"
  ((++PASSED))
}

failed() {
  echo "FAIL $1: $(tail -n 5 <<<"$2")"
  ((++FAILED))
}

check_images() {
  cd "$TEST_HOME/.." || exit
  ok "image of a Go program" build_probe "$WORK/probe.tar"
  ok "the same image again" build_probe "$WORK/again.tar"
  ok "the same source gives the same image" cmp "$WORK/probe.tar" "$WORK/again.tar"
  prints "image has a numeric user" '"User":"65532:65532"' image_config
  prints "image has a version label" '"org.opencontainers.image.version":"1.2.3"' image_config
  prints "image has CA certificates" etc/ssl/certs/ca-certificates.crt image_files
}

build_probe() {
  "$CLUSTER" image --name-tag rosey.local/probe:smoke --output "$1" --version 1.2.3 ./cmd/probe
}

image_config() { tar -xOf "$WORK/probe.tar" config.json; }

image_files() { tar -xOf "$WORK/probe.tar" layer.tar | tar -tf -; }

boot_two() {
  "$CLUSTER" up --name smoke-a --network-policy >"$WORK/up-a" 2>&1 &
  local first=$!
  "$CLUSTER" up --name smoke-b >"$WORK/up-b" 2>&1 &
  local second=$!
  finished "first cluster is up" $first "$WORK/up-a"
  finished "second cluster is up, started at the same time" $second "$WORK/up-b"
}

# finished CHECK JOB LOG: JOB must succeed. The other checks need the clusters, so a failure ends the test.
finished() {
  if wait "$2"; then
    passed "$1"
  else
    failed "$1" "$(cat "$3")"
    echo "$PASSED passed, $FAILED failed"
    exit 1
  fi
}

check_first() {
  KUBECONFIG=$("$CLUSTER" kubeconfig --name smoke-a)
  export KUBECONFIG
  prints "up reports that the cluster is already up" "already up" "$CLUSTER" up --name smoke-a
  ok "status" "$CLUSTER" status --name smoke-a
  prints "list" $'smoke-b\tup' "$CLUSTER" list
  prints "Kubernetes' version through the forwarded port" "Server Version: v1.37" kubectl version
  ok "load-image" "$CLUSTER" load-image --name smoke-a "$WORK/probe.tar"
  kubectl apply -f "$TEST_HOME/workload.yaml" >/dev/null
  ok "deployment is ready" kubectl -n smoke rollout status deployment/web --timeout="${LIMIT}s"
  ok "pod with a claim is ready" kubectl -n smoke wait pod/client --for=condition=Ready --timeout="${LIMIT}s"
  check_network
  check_pod_access
  check_storage
  check_helm
  check_second_node
  check_policy
  check_faults
  MEMORY=$("$CLUSTER" status --name smoke-a | sed -n 's/memory: \(.*\) MB/\1/p')
}

in_pod() { kubectl -n smoke exec client -- /bin/probe "$@"; }

check_network() {
  prints "a Service's name resolves" 198.19. in_pod dns web.smoke.svc.cluster.local
  prints "a Service's short name resolves" 198.19. in_pod dns web
  prints "a name outside the cluster does not resolve" "no such host" in_pod dns example.com
  prints "pod reaches a Service" "this is web-" in_pod get http://web/
  prints "node reaches a Service" "this is web-" "$CLUSTER" run --name smoke-a -- bash -c \
    "exec 3<>/dev/tcp/$(service_address)/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"
  prints "a command with --net-only reaches a Service" "this is web-" \
    "$CLUSTER" run --name smoke-a --net-only kubectl get --raw /api/v1/namespaces/smoke/services/web/proxy/
  prints "pod reaches the API with its token" "403 Forbidden" in_pod get https://kubernetes.default.svc/api/v1/pods
  prints "pod cannot reach outside" "network is unreachable" in_pod tcp 203.0.113.1:80
  ok "pods that come and go do not change the MAC address of the others' gateway" gateway_keeps_address
  prints "no route out of the cluster" "Network is unreachable" "$CLUSTER" run --name smoke-a ip route get 203.0.113.1
  prints "no route from the machine to a pod" "No route to host" ip route get 198.18.0.10
}

# gateway_keeps_address attaches a port with a lower address than a pod can have.
# shellcheck disable=SC2016 # the inner shell expands it
gateway_keeps_address() {
  "$CLUSTER" run --name smoke-a -- bash -euc '
    address() { ip -brief link show pods | awk "{ print \$3 }"; }
    before=$(address)
    ip link add lowest address 00:00:00:00:00:01 type veth peer name lowest-peer
    ip link set lowest master pods
    after=$(address)
    ip link delete lowest
    [[ $after == "$before" ]] || { echo "$before became $after"; exit 1; }
  '
}

service_address() { kubectl -n smoke get service web -o 'jsonpath={.spec.clusterIP}'; }

check_pod_access() {
  prints "logs" "serving on :8080" kubectl -n smoke logs client
  prints "exec with standard input" "some words" exec_with_input "some words"
  prints "port-forward" "this is web-" through_port_forward
}

exec_with_input() { echo "$1" | kubectl -n smoke exec -i client -- /bin/probe echo; }

through_port_forward() {
  local line port forward
  coproc FORWARD { exec kubectl -n smoke port-forward --address 127.0.0.1 service/web :80 2>&1; }
  forward=$!
  read -r -t "$LIMIT" line <&"${FORWARD[0]}" # Forwarding from 127.0.0.1:PORT -> 8080
  port=${line#*127.0.0.1:}
  port=${port%% *}
  exec 5<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&5 && cat <&5
  kill "$forward"
}

check_storage() {
  prints "claim is bound" Bound kubectl -n smoke get persistentvolumeclaim data -o 'jsonpath={.status.phase}'
  ok "pod writes to its claim" in_pod write /data/words text
  prints "the rest of the pod's files is read-only" "read-only file system" in_pod write /words text
}

check_helm() {
  local helm=(helm --kubeconfig "$KUBECONFIG")
  export HELM_CACHE_HOME=$WORK/helm HELM_CONFIG_HOME=$WORK/helm HELM_DATA_HOME=$WORK/helm
  ok "helm install --wait" "${helm[@]}" install smoke-release "$TEST_HOME/chart" --wait --timeout "${LIMIT}s"
  ok "helm uninstall --wait" "${helm[@]}" uninstall smoke-release --wait
}

check_second_node() {
  ok "a container that ends while a node starts does not keep it from starting" mounts_that_are_gone
  ok "add-node" "$CLUSTER" add-node --name smoke-a
  kubectl apply -f "$TEST_HOME/far.yaml" >/dev/null
  ok "pod on the second node is ready, with an image that the first one had" \
    kubectl -n smoke wait pod/far --for=condition=Ready --timeout="${LIMIT}s"
  prints "second node to a Service on the first" "this is web-" in_far get http://web/
  prints "first node to a pod on the second" "this is far" in_pod get "http://$(address_of far):8080/"
  prints "logs from the second node" "serving on :8080" kubectl -n smoke logs far
  prints "no route out of the second node" "network is unreachable" in_far tcp 203.0.113.1:80
}

# mounts_that_are_gone unmounts another node's mounts, of which one is gone since they were listed.
# shellcheck disable=SC2016 # the inner shell expands it
mounts_that_are_gone() {
  mkdir -p "$WORK/node1/left" && unshare --mount bash -c '
    set -euo pipefail
    STATE=$1
    source "$2/../lib/isolation.sh"
    mount -t tmpfs tmpfs "$STATE/node1/left"
    findmnt() {
      if [[ $1 == --mountpoint ]]; then command findmnt "$@"; else printf "%s\n" "$STATE/node1/gone" "$STATE/node1/left"; fi
    }
    unmount_other_nodes
    ! command findmnt --mountpoint "$STATE/node1/left"
  ' _ "$WORK" "$TEST_HOME"
}

# check_policy: from both nodes, since each one's firewall guards its own pods.
check_policy() {
  ok "without a policy, every pod may connect" in_pod get http://web/
  kubectl apply -f "$TEST_HOME/policy.yaml" >/dev/null
  ok "a policy refuses a pod that it does not name" eventually not in_pod get http://web/
  ok "a policy allows a pod that it names, from another node too" in_far get http://web/
  ok "an egress policy refuses other destinations" eventually not in_far get "http://$(address_of client):8080/"
  ok "readiness probes are allowed" kubectl -n smoke rollout status deployment/web --timeout="${LIMIT}s"
  kubectl delete -f "$TEST_HOME/policy.yaml" >/dev/null
  ok "without the policy, every pod may connect again" eventually in_pod get http://web/
  refused "up --network-policy fails for a cluster without enforcement" "$CLUSTER" up --name smoke-b --network-policy
}

not() { ! "$@"; }

in_far() { kubectl -n smoke exec far -- /bin/probe "$@"; }

address_of() { kubectl -n smoke get pod "$1" -o 'jsonpath={.status.podIP}'; }

chaos() { "$CLUSTER" chaos --name smoke-a "$@"; }

check_faults() {
  local far
  far=http://$(address_of far):8080/
  ok "chaos pause" chaos pause smoke far
  refused "a paused pod does not respond" in_pod get "$far"
  ok "chaos resume" chaos resume smoke far
  ok "it responds again" eventually in_pod get "$far"
  ok "chaos cut" chaos cut smoke client
  refused "a disconnected pod cannot reach another" in_pod get "$far"
  ok "chaos heal" chaos heal smoke client
  ok "it reaches the other again" eventually in_pod get "$far"
  ok "chaos kill" chaos kill smoke far
  ok "a killed container is restarted" eventually restarted_and_ready far
  prints "chaos reports a pod that does not exist" "no container of pod nobody" chaos kill smoke nobody
  check_node_faults "$far"
}

# check_node_faults URL, which is served by a pod on the second node: both faults overlap, since the control plane takes
# 10 s to detect the first.
check_node_faults() {
  ok "chaos node-stop" chaos node-stop node2
  ok "a node whose kubelet is stopped becomes unready" \
    kubectl wait node/node2 --for=condition=Ready=Unknown --timeout="${LIMIT}s"
  ok "its pods keep running" in_pod get "$1"
  ok "chaos partition" chaos partition node2
  refused "a partitioned node does not respond" in_pod get "$1"
  ok "chaos rejoin" chaos rejoin node2
  ok "chaos node-start" chaos node-start node2
  ok "the node is ready again" kubectl wait node/node2 --for=condition=Ready --timeout="${LIMIT}s"
  refused "the control plane's node cannot be partitioned" chaos partition node1
}

restarted_and_ready() {
  local status=".status.containerStatuses[0]"
  [[ $(kubectl -n smoke get pod "$1" -o "jsonpath={$status.restartCount} {$status.ready}") == "1 true" ]]
}

# eventually COMMAND…: retries COMMAND until it succeeds; fails after far longer than that takes on a busy machine.
eventually() {
  local deadline=$((SECONDS + LIMIT))
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# check_second checks that a cluster with the same addresses is separate.
check_second() {
  local config
  config=$("$CLUSTER" kubeconfig --name smoke-b)
  ok "second cluster has DNS" kubectl --kubeconfig "$config" -n kube-system wait pod -l k8s-app=kube-dns \
    --for=condition=Ready --timeout="${LIMIT}s"
  prints "second cluster does not have the first one's namespace" NotFound \
    kubectl --kubeconfig "$config" get namespace smoke
}

# check_removal_of_first removes the first cluster while another program is in its network.
check_removal_of_first() {
  local program
  "$CLUSTER" run --name smoke-a --net-only sleep 600 &
  program=$!
  ok "a program runs in the first cluster's network" joined_network "$program" smoke-a
  prints "down" "is removed" "$CLUSTER" down --name smoke-a
  wait $program 2>/dev/null
  refused "down killed that program" kill -0 "$program"
  prints "a second down reports that there is no cluster" "is not up" "$CLUSTER" down --name smoke-a
  prints "second cluster is still up" $'smoke-b\tup' "$CLUSTER" list
  prints "still no route from the machine to a pod" "No route to host" ip route get 198.18.0.10
  ok "down of the second" "$CLUSTER" down --name smoke-b
}

# joined_network PID NAME waits until PID has entered the network of cluster NAME.
joined_network() {
  local deadline=$((SECONDS + LIMIT)) first
  first=$(<"/var/lib/rosey-cluster/$2/pid")
  until [[ /proc/$1/ns/net -ef /proc/$first/ns/net ]]; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# check_killed_start kills up after the cluster's programs have begun to start, so that nothing cleans up.
check_killed_start() {
  local deadline=$((SECONDS + LIMIT)) start
  "$CLUSTER" up --name smoke-c >"$WORK/up-c" 2>&1 &
  start=$!
  until [[ -e /var/lib/rosey-cluster/smoke-c/log/kube-apiserver.log ]] || ((SECONDS >= deadline)); do sleep 0.05; done
  kill -KILL $start
  wait $start 2>/dev/null
  prints "list shows a killed start" $'smoke-c\tstarting' "$CLUSTER" list
  prints "down after a killed start" "is removed" "$CLUSTER" down --name smoke-c
}

check_nothing_left() {
  ok "nothing is left: interfaces, mounts, cgroups, processes, files, kernel settings" nothing_new list_machine_state
  if [[ -z $("$CLUSTER" list) ]]; then
    ok "nothing is left that clusters share: the guard route, mount points" nothing_new list_shared_state
  else
    echo "left out: what clusters share, because another cluster is up"
  fi
}

# nothing_new LIST: fails if LIST prints a line that it did not print before the test.
nothing_new() {
  local new
  new=$("$1" | sort | comm -13 "$WORK/$1" -)
  echo "$new"
  [[ -z $new ]]
}

# list_machine_state prints everything that a cluster could leave behind.
list_machine_state() {
  ip -brief link | cut -d' ' -f1
  cut -d' ' -f1,2 /proc/mounts
  find /sys/fs/cgroup -maxdepth 2 -name 'rosey-smoke-*'
  ls -d /var/lib/rosey-cluster/smoke-* /run/containerd /run/netns /opt/containerd /opt/cni /etc/cni 2>/dev/null
  tail -n 1 /proc/sys/vm/overcommit_memory /proc/sys/vm/panic_on_oom /proc/sys/kernel/panic{,_on_oops} | xargs
  grep -lsE '/rosey-smoke-[abc]/' /proc/[0-9]*/cgroup || true
}

# list_shared_state prints everything that the last cluster could leave behind.
list_shared_state() {
  ip -4 route
  ls -d /var/lib/rosey-cluster /var/lib/kubelet /var/lib/cni /var/log/containers 2>/dev/null
}

remove_all() {
  local name
  for name in $NAMES; do
    "$CLUSTER" down --name "$name" 2>/dev/null
  done
}

clean_up() {
  remove_all
  rm -rf "$WORK"
}

main
