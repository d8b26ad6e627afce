# shellcheck shell=bash
# The demo's four images, built from Go packages into files. Neither a registry nor Docker is needed.

# demo_version prints the images' tag. A modified working tree gets a new tag each time: pods would not restart for
# new content under the same tag.
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
