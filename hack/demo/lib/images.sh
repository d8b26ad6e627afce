# shellcheck shell=bash
# The demo's four images: rosey, operator, cytube and nats. Two of them may be those of a release.

image_dir() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/rosey/demo/$cluster_name"; }

build_images() {
  images=$(image_dir)
  mkdir -p "$images"
  version=$(tree_version)
  nats_version=$(go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
  nats_version=${nats_version#v}
  say "building images (version $version)"
  if [ -z "$release" ]; then
    build_image "$(image rosey)" "$images/rosey.tar" ./cmd/rosey "$version"
    build_image "$(image operator)" "$images/operator.tar" ./cmd/operator "$version"
  fi
  build_image "$(image cytube)" "$images/cytube.tar" ./hack/cytube "$version"
  build_image "$(image nats)" "$images/nats.tar" github.com/nats-io/nats-server/v2 "$nats_version"
}

# image NAME prints an image's full name.
image() {
  case $1 in
    nats) echo "$registry/nats:$nats_version" ;;
    *) echo "$registry/$1:$version" ;;
  esac
}

# provide_images gets the images to the nodes.
provide_images() {
  local name
  if [ "$own_cluster" = no ]; then
    say "loading images"
    local files=("$images"/*.tar)
    [ -z "$release" ] || files+=("$release/images/operator=$registry/operator" "$release/images/rosey=$registry/rosey")
    hack/cluster/cluster load-image --name "$cluster_name" "${files[@]}" >/dev/null
  elif [ "$registry" = "$no_registry" ]; then
    say "load the images into the cluster now, in another terminal; the installation waits for them. Or use REGISTRY=host/path"
    print_load_commands "$images"
  else
    say "pushing the images to $registry"
    for name in rosey operator cytube nats; do push_image "$images/$name.tar" "$(image "$name")"; done
  fi
}

remove_images() {
  rm -rf "$(image_dir)"
  rmdir "$(dirname "$(image_dir)")" 2>/dev/null || true
}
