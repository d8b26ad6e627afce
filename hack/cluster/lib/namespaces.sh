# The cluster's network, mount, process, IPC and host name namespaces: creating, entering and finding them.
# shellcheck shell=bash

# A fixed environment for the cluster's programs: the caller's proxies and kubeconfigs must not reach them.
INSIDE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# start_namespaces starts boot as process 1 of new namespaces, with the listener for the API as file descriptor 3.
start_namespaces() {
  (
    join_cgroups
    close_inherited_files
    cd /
    exec env -i PATH=$INSIDE_PATH HOME=/root TMPDIR="$STATE/tmp" \
      setsid "$TOOLS/bin/forward" listen "$STATE/port" \
      unshare --net --mount --pid --ipc --uts --fork --propagation private \
      "$CLUSTER_HOME/boot" "$NAME" "$TOOLS"
  ) </dev/null >"$LOGS/boot.log" 2>&1 &
}

# close_inherited_files closes the caller's files: otherwise the cluster would hold the caller's lock, or a pipe whose end
# somebody waits for, as long as it runs.
close_inherited_files() {
  local file
  for file in /proc/"$BASHPID"/fd/*; do
    file=${file##*/}
    ((file <= 2 || file == 255)) || exec {file}<&- # 255 is bash's own, and closed by exec
  done
}

# first_process prints the ID, on the machine, of the cluster's process 1 if it is running. The recorded ID may belong to
# another process by now, but that one is not in the cluster's cgroup.
first_process() {
  local pid
  [[ -s $STATE/pid ]] || return 1
  pid=$(<"$STATE/pid")
  grep -qs "/$CGROUP/system\$" "/proc/$pid/cgroup" || return 1
  echo "$pid"
}

# inside all|network COMMAND…: executes COMMAND in all of the cluster's namespaces, or in its network namespace only.
inside() {
  local which=$1 pid
  shift
  pid=$(first_process) || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  # nsenter forks to enter a process namespace. Without one it executes COMMAND directly, so that the caller can kill
  # COMMAND by the ID of the process that it started.
  case $which in
    all) exec nsenter --target "$pid" --net --mount --pid --ipc --uts --wd="$PWD" -- "$@" ;;
    network) exec nsenter --target "$pid" --net -- "$@" ;;
  esac
}

# network_processes PID prints every process in PID's network namespace, or none if that is the machine's: the caller
# kills the printed processes.
network_processes() {
  local process
  [[ ! /proc/$1/ns/net -ef /proc/self/ns/net ]] || return 0
  for process in /proc/[0-9]*; do
    [[ ! $process/ns/net -ef /proc/$1/ns/net ]] || echo "${process#/proc/}"
  done
}
