# The cluster's control groups: a parent called rosey-NAME, from which memory can be read and every process found, with a
# child called system for the cluster's own programs and a child for each node, in which its kubelet creates pods'
# groups and removes unknown ones. The machine's own groups are neither moved nor limited.
# shellcheck shell=bash

CGROUP_MOUNT=/sys/fs/cgroup

# The controllers that the kubelet requires in its root on v2 (pkg/kubelet/cm), and io, which containerd reports.
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

# cluster_cgroups prints the cluster's parent group in each hierarchy that has one. On v1 that includes the empty v2
# tree, since runc creates groups there too.
cluster_cgroups() {
  local group
  for group in "$CGROUP_MOUNT/$CGROUP" "$CGROUP_MOUNT"/*/"$CGROUP"; do
    [[ ! -d $group || -L $(dirname "$group") ]] || echo "$group" # v1's "cpu" may be a link to "cpu,cpuacct"
  done
}

# check_cgroups prints why create_cgroups cannot work and fails, or prints nothing.
check_cgroups() {
  local top try controller
  [[ -n $(cgroup_hierarchies) ]] || { echo "no cgroup filesystem is mounted below $CGROUP_MOUNT"; return 1; }
  for top in $(cgroup_hierarchies); do
    try=$top/rosey-check-$$
    { mkdir "$try" && rmdir "$try"; } 2>/dev/null || { echo "cgroups cannot be created in $top"; return 1; }
  done
  [[ $(cgroup_version) == 1 ]] || check_controllers
}

# check_controllers checks a restriction of v2: a group that has processes cannot enable controllers for its children.
# The machine's root group is exempt (it has no cgroup.type); the root that a container sees is not.
check_controllers() {
  local controller passed_on
  passed_on=" $(<$CGROUP_MOUNT/cgroup.subtree_control) "
  for controller in cpu cpuset memory pids; do
    [[ " $(<$CGROUP_MOUNT/cgroup.controllers) " == *" $controller "* ]] ||
      { echo "cgroup v2 has no $controller controller"; return 1; }
    [[ $passed_on == *" $controller "* || ! -e $CGROUP_MOUNT/cgroup.type || -z $(<$CGROUP_MOUNT/cgroup.procs) ]] ||
      { echo "$CGROUP_MOUNT has processes, so it cannot enable the $controller controller for its children"; return 1; }
  done
}

create_cgroups() {
  create_cgroup "$CGROUP"
  create_cgroup "$CGROUP/system"
}

# create_cgroup NAME creates the group in every hierarchy. Its parent must exist.
create_cgroup() {
  local top group
  for top in $(cgroup_hierarchies); do
    group=$top/$1
    [[ $(cgroup_version) == 1 ]] || enable_controllers "$(dirname "$group")"
    mkdir -p "$group"
    [[ ! -e $top/cpuset.cpus || $(cgroup_version) == 2 ]] || copy_cpuset "$(dirname "$group")" "$group"
  done
}

# create_node_cgroup creates the kubelet's root. On v2 the kubelet requires controllers there, and enables them for its
# pods.
create_node_cgroup() { create_cgroup "$NODE_CGROUP"; }

# copy_cpuset FROM TO: a new cpuset is empty on v1, and no process can join it without processors and memory nodes.
copy_cpuset() {
  cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
  cat "$1/cpuset.mems" >"$2/cpuset.mems"
}

# enable_controllers GROUP: on v2 a group's children have only the controllers that it enables. Enabled controllers stay
# enabled, so in the machine's root group this only ever adds.
enable_controllers() {
  local controller
  for controller in $WANTED_CONTROLLERS; do
    [[ " $(<"$1/cgroup.controllers") " == *" $controller "* ]] || continue
    [[ " $(<"$1/cgroup.subtree_control") " == *" $controller "* ]] || echo "+$controller" >"$1/cgroup.subtree_control"
  done
}

# join_cgroups moves the calling subshell, and so the program that it executes.
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

# remove_cgroups removes the groups and fails while one has a process. On v1 a frozen process dies only when thawed.
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
