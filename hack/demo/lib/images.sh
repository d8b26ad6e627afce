# shellcheck shell=bash
# The four images of the demo, built from Go packages and kept as files: no registry, no Docker.

# An edited working tree gets a tag of its own each time: the same tag with other content would not restart a pod.
demo_version() {
  local version
  version=$(git describe --tags --always --dirty 2>/dev/null || echo dev)
  case $version in
    *-dirty | dev) version=$version.$(date +%s) ;;
  esac
  echo "$version"
}

image_dir() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/rosey/demo/$cluster_name"; }

build_images() {
  images=$(image_dir)
  mkdir -p "$images"
  version=$(demo_version)
  nats_version=$(go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
  say "building images (version $version)"
  build_image rosey "$version" ./cmd/rosey
  build_image operator "$version" ./cmd/operator
  build_image cytube "$version" ./hack/cytube
  build_image nats "${nats_version#v}" github.com/nats-io/nats-server/v2
}

build_image() { # NAME TAG PACKAGE
  hack/cluster/cluster image --name-tag "rosey.local/$1:$2" --output "$images/$1.tar" --version "$2" "$3" >/dev/null
}

remove_images() {
  rm -rf "$(image_dir)"
  rmdir "$(dirname "$(image_dir)")" 2>/dev/null || true
}
