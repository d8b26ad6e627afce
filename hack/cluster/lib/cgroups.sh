# The cluster's part of the machine's control groups: a parent called rosey-NAME for everything, so that memory can
# be read and every process found again, with a leaf called system for the programs of the cluster itself and a group
# for each node, where its kubelet puts pods and removes what it does not know. No group of the machine's own is moved
# or limited.
# shellcheck shell=bash

CGROUP_MOUNT=/sys/fs/cgroup

# The controllers that the kubelet asks for in its root on v2 (pkg/kubelet/cm), and io, which containerd reports.
WANTED_CONTROLLERS="cpu cpuset memory hugetlb pids io"

cgroup_version() {
  if [[ -e $CGROUP_MOUNT/cgroup.controllers ]]; then echo 2; else echo 1; fi
}

# cgroup_hierarchies prints the top of each hierarchy: one on v2, one for every controller on v1. A machine with v1
# controllers and an empty v2 tree beside them counts as v1, as it does for the kubelet.
cgroup_hierarchies() {
  if [[ $(cgroup_version) == 2 ]]; then
    echo $CGROUP_MOUNT
  else
    findmnt --types cgroup --noheadings --raw --output TARGET | sort -u
  fi
}

# cluster_cgroups prints the cluster's parent in each hierarchy that has one. Beside v1's hierarchies that may be the
# empty v2 tree too: runc makes groups there of its own accord.
cluster_cgroups() {
  local group
  for group in "$CGROUP_MOUNT/$CGROUP" "$CGROUP_MOUNT"/*/"$CGROUP"; do
    [[ ! -d $group || -L $(dirname "$group") ]] || echo "$group" # v1's "cpu" may be a link to "cpu,cpuacct"
  done
}

# check_cgroups prints what is in the way of create_cgroups and fails, or prints nothing.
check_cgroups() {
  local top try controller
  [[ -n $(cgroup_hierarchies) ]] || { echo "no cgroup filesystem is mounted below $CGROUP_MOUNT"; return 1; }
  for top in $(cgroup_hierarchies); do
    try=$top/rosey-check-$$
    { mkdir "$try" && rmdir "$try"; } 2>/dev/null || { echo "cgroups cannot be made in $top"; return 1; }
  done
  [[ $(cgroup_version) == 1 ]] || check_controllers
}

# check_controllers looks for the trap of v2: a group with processes in it cannot pass controllers on. The machine's
# own top may (it has no cgroup.type), the top that a container sees may not.
check_controllers() {
  local controller passed_on
  passed_on=" $(<$CGROUP_MOUNT/cgroup.subtree_control) "
  for controller in cpu cpuset memory pids; do
    [[ " $(<$CGROUP_MOUNT/cgroup.controllers) " == *" $controller "* ]] ||
      { echo "cgroup v2 without its $controller controller"; return 1; }
    [[ $passed_on == *" $controller "* || ! -e $CGROUP_MOUNT/cgroup.type || -z $(<$CGROUP_MOUNT/cgroup.procs) ]] ||
      { echo "$CGROUP_MOUNT has processes of its own, so it cannot pass on the $controller controller"; return 1; }
  done
}

create_cgroups() {
  create_cgroup "$CGROUP"
  create_cgroup "$CGROUP/system"
}

# create_cgroup NAME in every hierarchy. Its parent is there.
create_cgroup() {
  local top group
  for top in $(cgroup_hierarchies); do
    group=$top/$1
    [[ $(cgroup_version) == 1 ]] || pass_on_controllers "$(dirname "$group")"
    mkdir -p "$group"
    [[ ! -e $top/cpuset.cpus || $(cgroup_version) == 2 ]] || copy_cpuset "$(dirname "$group")" "$group"
  done
}

# create_node_cgroup: on v2 the kubelet wants controllers in its root, and passes them on to what it makes there.
create_node_cgroup() { create_cgroup "$NODE_CGROUP"; }

# copy_cpuset FROM TO: on v1 a new cpuset is empty, and no process can enter one without processors and memory nodes.
copy_cpuset() {
  cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
  cat "$1/cpuset.mems" >"$2/cpuset.mems"
}

# pass_on_controllers GROUP: on v2 a group's children have only the controllers it passes on. Those passed on already
# stay as they are, so at the machine's top this only ever adds.
pass_on_controllers() {
  local controller
  for controller in $WANTED_CONTROLLERS; do
    [[ " $(<"$1/cgroup.controllers") " == *" $controller "* ]] || continue
    [[ " $(<"$1/cgroup.subtree_control") " == *" $controller "* ]] || echo "+$controller" >"$1/cgroup.subtree_control"
  done
}

# join_cgroups moves the shell that calls it, a subshell, and so whatever it becomes.
join_cgroups() {
  local group
  for group in $(cluster_cgroups); do
    [[ ! -d $group/system ]] || echo "$BASHPID" >"$group/system/cgroup.procs"
  done
}

cgroup_processes() {
  local groups
  mapfile -t groups < <(cluster_cgroups)
  ((${#groups[@]} == 0)) || find "${groups[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un
}

# remove_cgroups removes the groups once the last process has left them. A frozen process on v1 dies only when thawed.
remove_cgroups() {
  local groups
  mapfile -t groups < <(cluster_cgroups)
  ((${#groups[@]} > 0)) || return 0
  find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
  [[ -z $(cluster_cgroups) ]]
}

thaw_cgroups() {
  local state
  while read -r state; do
    echo THAWED >"$state"
  done < <(find "$CGROUP_MOUNT/freezer/$CGROUP" -name freezer.state 2>/dev/null)
}

# cluster_memory prints the memory of everything in the cluster in MB, page cache and images included.
cluster_memory() {
  local file
  for file in "$CGROUP_MOUNT/$CGROUP/memory.current" "$CGROUP_MOUNT/memory/$CGROUP/memory.usage_in_bytes"; do
    [[ ! -r $file ]] || echo $(($(<"$file") / 1048576))
  done
}
