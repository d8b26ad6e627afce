# shellcheck shell=bash
# Images of this tree's programs. They are built into files, without Docker, and pushed to a registry or loaded into a
# cluster.

# shellcheck source=../lib/version.sh
. hack/lib/version.sh

# build_image NAME:TAG FILE PACKAGE VERSION [PLATFORM]
build_image() {
  hack/cluster/cluster image --name-tag "$1" --output "$2" --version "$4" ${5:+--platform "$5"} "$3" >/dev/null
}

# push_image FILE NAME:TAG: with the credentials that `docker login` or the registry's own tool has stored.
push_image() { hack/cluster/cluster crane push "$1" "$2" >/dev/null; }

# print_load_commands DIR: for the tools that load image files.
print_load_commands() {
  cat <<END
  kind:        for file in $1/*.tar; do kind load image-archive \$file; done
  k3d:         k3d image import $1/*.tar
  minikube:    for file in $1/*.tar; do minikube image load \$file; done
  containerd:  for file in $1/*.tar; do ctr --namespace k8s.io images import \$file; done     # on each node
END
}
