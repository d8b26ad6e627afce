# Runs programs in a cluster, and loads images into it.
# shellcheck shell=bash

# run_inside all|network COMMAND…
run_inside() {
  local which=$1
  shift
  (($# > 0)) || fail "run: expected a command"
  is_ready || fail "cluster $NAME is not up: start it with 'cluster up --name $NAME'"
  KUBECONFIG=$INSIDE_KUBECONFIG
  PATH=$(<"$STATE/tools"):$PATH
  NO_PROXY=$CLUSTER_RANGE,.svc,.cluster.local${NO_PROXY:+,$NO_PROXY}
  export KUBECONFIG PATH NO_PROXY no_proxy=$NO_PROXY
  inside "$which" "$@"
}

# load_images FILE…: imports images into every node of the running cluster. Each is an image file, or DIRECTORY=NAME: an
# OCI layout, whose image is then NAME@DIGEST, with the digest that its index.json has. containerd unpacks an image when a
# pod first uses it, which is faster than unpacking all of them here.
load_images() {
  local file node
  for file in "$@"; do
    [[ -r ${file%=*} ]] || fail "load-image: cannot read ${file%=*}"
    [[ ! -d ${file%=*} || $file == *=?* ]] || fail "load-image: '$file': expected DIRECTORY=NAME for an OCI layout"
    for node in $(cluster_nodes); do
      choose_node "$node"
      if [[ -d ${file%=*} ]]; then
        tar --directory "${file%=*}" --create . |
          runtime_of_node images import --no-unpack --digests --base-name "${file##*=}" -
      else
        runtime_of_node images import --no-unpack "$(realpath "$file")"
      fi
    done
  done
}

# runtime_of_node ARGUMENT…: runs ctr on the chosen node.
runtime_of_node() { (inside all ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"); }
