#!/bin/bash
# Boots two clusters side by side, tries what a cluster is for, cuts a third one's start short, and looks for anything
# left behind. One line for each check, and the counts at the end.
set -uo pipefail

TEST_HOME=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
CLUSTER=$TEST_HOME/../cluster
NAMES="smoke-a smoke-b smoke-c"
WORK=$(mktemp -d)
PASSED=0
FAILED=0

main() {
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  "$CLUSTER" build --network-policy || exit 1
  PATH=$("$CLUSTER" bin):$PATH
  take_down_all # what an earlier run may have left would count as the machine's
  look_at_machine | sort >"$WORK/look_at_machine"
  look_at_shared | sort >"$WORK/look_at_shared"

  check_images
  boot_two
  check_first
  check_second
  check_end_of_first
  check_start_cut_short
  check_nothing_left
  echo "after $SECONDS s: memory of one cluster with its pods ${MEMORY:-unknown} MB"
  echo "$PASSED passed, $FAILED failed"
  [[ $FAILED == 0 ]]
}

# ok WHAT COMMAND…: COMMAND must succeed.
ok() {
  local what=$1 words
  shift
  if words=$("$@" 2>&1); then passed "$what"; else failed "$what" "$words"; fi
}

# refused WHAT COMMAND…: COMMAND must fail.
refused() {
  local what=$1 words
  shift
  if words=$("$@" 2>&1); then failed "$what" "it succeeded: $words"; else passed "$what"; fi
}

# says WHAT TEXT COMMAND…: COMMAND must print TEXT.
says() {
  local what=$1 text=$2 words
  shift 2
  words=$("$@" 2>&1)
  if [[ $words == *"$text"* ]]; then passed "$what"; else failed "$what" "expected '$text' in: $words"; fi
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
  says "image has a numeric user" '"User":"65532:65532"' image_config
  says "image has a version label" '"org.opencontainers.image.version":"1.2.3"' image_config
  says "image has CA certificates" etc/ssl/certs/ca-certificates.crt base_layer_files
}

build_probe() {
  "$CLUSTER" image --name-tag rosey.local/probe:smoke --output "$1" --version 1.2.3 ./cmd/probe
}

image_config() { tar -xOf "$WORK/probe.tar" --wildcards 'sha256:*'; }

base_layer_files() {
  local layer
  layer=$(tar -xOf "$WORK/probe.tar" manifest.json | sed 's/.*"Layers":\["\([^"]*\)".*/\1/')
  tar -xOf "$WORK/probe.tar" "$layer" | tar -tf -
}

boot_two() {
  "$CLUSTER" up --name smoke-a --network-policy >"$WORK/up-a" 2>&1 &
  local first=$!
  "$CLUSTER" up --name smoke-b >"$WORK/up-b" 2>&1 &
  local second=$!
  finished "first cluster is up" $first "$WORK/up-a"
  finished "second cluster is up, started at the same time" $second "$WORK/up-b"
}

# finished WHAT JOB LOG: JOB must end well. Nothing that follows means anything without the clusters.
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
  says "up a second time says so" "already up" "$CLUSTER" up --name smoke-a
  ok "status" "$CLUSTER" status --name smoke-a
  says "list" $'smoke-b\tup' "$CLUSTER" list
  says "Kubernetes' version through the forwarded port" "Server Version: v1.37" kubectl version
  ok "load-image" "$CLUSTER" load-image --name smoke-a "$WORK/probe.tar"
  kubectl apply -f "$TEST_HOME/workload.yaml" >/dev/null
  ok "deployment is ready" kubectl -n smoke rollout status deployment/web --timeout=60s
  ok "pod with a claim is ready" kubectl -n smoke wait pod/client --for=condition=Ready --timeout=60s
  check_network
  check_pod_access
  check_storage
  check_helm
  check_second_node
  check_policy
  check_faults
  MEMORY=$("$CLUSTER" status --name smoke-a | sed -n 's/memory: \(.*\) MB/\1/p')
}

in_pod() { kubectl -n smoke exec client -- /ko-app/probe "$@"; }

check_network() {
  says "name of a Service" 198.19. in_pod dns web.smoke.svc.cluster.local
  says "short name of a Service" 198.19. in_pod dns web
  says "a name outside does not exist" "no such host" in_pod dns example.com
  says "pod reaches a Service" "this is web-" in_pod get http://web/
  says "node reaches a Service" "this is web-" "$CLUSTER" run --name smoke-a -- bash -c \
    "exec 3<>/dev/tcp/$(service_address)/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"
  says "network only: the machine's files, the cluster's Services" "this is web-" \
    "$CLUSTER" run --name smoke-a --net-only kubectl get --raw /api/v1/namespaces/smoke/services/web/proxy/
  says "pod reaches the API with its token" "403 Forbidden" in_pod get https://kubernetes.default.svc/api/v1/pods
  says "pod cannot reach outside" "network is unreachable" in_pod tcp 203.0.113.1:80
  says "no route out of the cluster" "Network is unreachable" "$CLUSTER" run --name smoke-a ip route get 203.0.113.1
  says "no route from the machine to a pod" "No route to host" ip route get 198.18.0.10
}

service_address() { kubectl -n smoke get service web -o 'jsonpath={.spec.clusterIP}'; }

check_pod_access() {
  says "logs" "serving on :8080" kubectl -n smoke logs client
  says "exec with standard input" "some words" exec_with_input "some words"
  says "port-forward" "this is web-" through_port_forward
}

exec_with_input() { echo "$1" | kubectl -n smoke exec -i client -- /ko-app/probe echo; }

through_port_forward() {
  local line port forward
  coproc FORWARD { exec kubectl -n smoke port-forward --address 127.0.0.1 service/web :80 2>&1; }
  forward=$!
  read -r -t 10 line <&"${FORWARD[0]}" # Forwarding from 127.0.0.1:PORT -> 8080
  port=${line#*127.0.0.1:}
  port=${port%% *}
  exec 5<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&5 && cat <&5
  kill "$forward"
}

check_storage() {
  says "claim is bound" Bound kubectl -n smoke get persistentvolumeclaim data -o 'jsonpath={.status.phase}'
  ok "pod writes to its claim" in_pod write /data/words text
  says "the rest of the pod's files is read-only" "read-only file system" in_pod write /words text
}

check_helm() {
  local helm=(helm --kubeconfig "$KUBECONFIG")
  export HELM_CACHE_HOME=$WORK/helm HELM_CONFIG_HOME=$WORK/helm HELM_DATA_HOME=$WORK/helm
  ok "helm install --wait" "${helm[@]}" install smoke-release "$TEST_HOME/chart" --wait --timeout 60s
  ok "helm uninstall --wait" "${helm[@]}" uninstall smoke-release --wait
}

check_second_node() {
  ok "add-node" "$CLUSTER" add-node --name smoke-a
  kubectl apply -f "$TEST_HOME/far.yaml" >/dev/null
  ok "pod on the second node is ready, with an image that the first one had" \
    kubectl -n smoke wait pod/far --for=condition=Ready --timeout=60s
  says "second node to a Service on the first" "this is web-" in_far get http://web/
  says "first node to a pod on the second" "this is far" in_pod get "http://$(address_of far):8080/"
  says "logs from the second node" "serving on :8080" kubectl -n smoke logs far
  says "no route out of the second node" "network is unreachable" in_far tcp 203.0.113.1:80
}

# check_policy: from both nodes, since each one's firewall guards its own pods.
check_policy() {
  ok "without a policy all may" in_pod get http://web/
  kubectl apply -f "$TEST_HOME/policy.yaml" >/dev/null
  ok "who is not named in a policy is refused" within 20 not in_pod get http://web/
  ok "who is named is let in, from another node too" in_far get http://web/
  ok "a policy for what goes out refuses the rest" within 20 not in_far get "http://$(address_of client):8080/"
  ok "readiness probes are let in" kubectl -n smoke rollout status deployment/web --timeout=20s
  kubectl delete -f "$TEST_HOME/policy.yaml" >/dev/null
  ok "without the policy all may again" within 20 in_pod get http://web/
  refused "a cluster without enforcement does not claim to have it" "$CLUSTER" up --name smoke-b --network-policy
}

not() { ! "$@"; }

in_far() { kubectl -n smoke exec far -- /ko-app/probe "$@"; }

address_of() { kubectl -n smoke get pod "$1" -o 'jsonpath={.status.podIP}'; }

chaos() { "$CLUSTER" chaos --name smoke-a "$@"; }

check_faults() {
  local far
  far=http://$(address_of far):8080/
  ok "chaos pause" chaos pause smoke far
  refused "a paused pod does not answer" in_pod get "$far"
  ok "chaos resume" chaos resume smoke far
  ok "it answers again" within 10 in_pod get "$far"
  ok "chaos cut" chaos cut smoke client
  refused "a pod that is cut off reaches nobody" in_pod get "$far"
  ok "chaos heal" chaos heal smoke client
  ok "it reaches others again" within 10 in_pod get "$far"
  ok "chaos kill" chaos kill smoke far
  ok "a killed container is restarted" within 30 restarted_and_ready far
  says "chaos names what it cannot find" "no container of pod nobody" chaos kill smoke nobody
  check_node_faults "$far"
}

# check_node_faults URL of a pod on the second node: both faults at once, since the control plane takes 10 s to notice.
check_node_faults() {
  ok "chaos node-stop" chaos node-stop node2
  ok "a node whose kubelet is stopped is noticed" kubectl wait node/node2 --for=condition=Ready=Unknown --timeout=60s
  ok "its pods go on" in_pod get "$1"
  ok "chaos partition" chaos partition node2
  refused "a partitioned node does not answer" in_pod get "$1"
  ok "chaos rejoin" chaos rejoin node2
  ok "chaos node-start" chaos node-start node2
  ok "the node is ready again" kubectl wait node/node2 --for=condition=Ready --timeout=60s
  refused "the control plane's node cannot be partitioned" chaos partition node1
}

restarted_and_ready() {
  local status=".status.containerStatuses[0]"
  [[ $(kubectl -n smoke get pod "$1" -o "jsonpath={$status.restartCount} {$status.ready}") == "1 true" ]]
}

# within SECONDS COMMAND…: COMMAND must succeed before the time is up.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# check_second: same addresses, another cluster.
check_second() {
  local config
  config=$("$CLUSTER" kubeconfig --name smoke-b)
  ok "second cluster has DNS" kubectl --kubeconfig "$config" -n kube-system wait pod -l k8s-app=kube-dns \
    --for=condition=Ready --timeout=30s
  says "second cluster knows nothing of the first one's namespace" NotFound \
    kubectl --kubeconfig "$config" get namespace smoke
}

# check_end_of_first: with a program in the cluster's network that would outlive it.
check_end_of_first() {
  local straggler
  "$CLUSTER" run --name smoke-a --net-only sleep 600 &
  straggler=$!
  ok "a program runs in the first cluster's network" joined_network "$straggler" smoke-a
  says "down" "is gone" "$CLUSTER" down --name smoke-a
  wait $straggler 2>/dev/null
  refused "its end ended that program" kill -0 "$straggler"
  says "down a second time says so" "is not up" "$CLUSTER" down --name smoke-a
  says "second cluster lives on" $'smoke-b\tup' "$CLUSTER" list
  says "still no route from the machine to a pod" "No route to host" ip route get 198.18.0.10
  ok "down of the second" "$CLUSTER" down --name smoke-b
}

# joined_network PID NAME: PID has entered the network of cluster NAME.
joined_network() {
  local deadline=$((SECONDS + 10)) first
  first=$(<"/var/lib/rosey-cluster/$2/pid")
  until [[ /proc/$1/ns/net -ef /proc/$first/ns/net ]]; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# check_start_cut_short kills up when the cluster's programs have begun to start, so nobody tidies up.
check_start_cut_short() {
  local deadline=$((SECONDS + 30)) start
  "$CLUSTER" up --name smoke-c >"$WORK/up-c" 2>&1 &
  start=$!
  until [[ -e /var/lib/rosey-cluster/smoke-c/log/kube-apiserver.log ]] || ((SECONDS >= deadline)); do sleep 0.05; done
  kill -KILL $start
  wait $start 2>/dev/null
  says "a start that was killed is seen" $'smoke-c\tstarting' "$CLUSTER" list
  says "down after a start that was killed" "is gone" "$CLUSTER" down --name smoke-c
}

check_nothing_left() {
  ok "nothing is left: interfaces, mounts, cgroups, processes, files, kernel settings" nothing_new look_at_machine
  if [[ -z $("$CLUSTER" list) ]]; then
    ok "nothing is left of what clusters share: the guard route, directories to mount on" nothing_new look_at_shared
  else
    echo "left out: what clusters share, since there is another one"
  fi
}

# nothing_new LOOK: fails when LOOK prints a line that it did not print before the test.
nothing_new() {
  local new
  new=$("$1" | sort | comm -13 "$WORK/$1" -)
  echo "$new"
  [[ -z $new ]]
}

# look_at_machine prints what a cluster could leave behind.
look_at_machine() {
  ip -brief link | cut -d' ' -f1
  cut -d' ' -f1,2 /proc/mounts
  find /sys/fs/cgroup -maxdepth 2 -name 'rosey-smoke-*'
  ls -d /var/lib/rosey-cluster/smoke-* /run/containerd /run/netns /opt/containerd /opt/cni /etc/cni 2>/dev/null
  tail -n 1 /proc/sys/vm/overcommit_memory /proc/sys/vm/panic_on_oom /proc/sys/kernel/panic{,_on_oops} | xargs
  grep -lsE '/rosey-smoke-[abc]/' /proc/[0-9]*/cgroup || true
}

# look_at_shared prints what the last cluster could leave behind.
look_at_shared() {
  ip -4 route
  ls -d /var/lib/rosey-cluster /var/lib/kubelet /var/lib/cni /var/log/containers 2>/dev/null
}

take_down_all() {
  local name
  for name in $NAMES; do
    "$CLUSTER" down --name "$name" 2>/dev/null
  done
}

clean_up() {
  take_down_all
  rm -rf "$WORK"
}

main
