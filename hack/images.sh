#!/usr/bin/env bash
# Builds the images of the operator and of the bots, without Docker, into bin/images. Pushes them to a registry, or prints
# how to load them into a cluster; and how to install the chart with them.
#
#   REGISTRY=HOST/PATH   push them there. Credentials are those of `docker login`; a registry on localhost may use HTTP
#   TAG=TAG              default: the version of this tree
#   PLATFORM=linux/ARCH  default: this machine's
#   OUTPUT=DIR           default: bin/images
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/lib/images.sh

registry=${REGISTRY:-rosey.local}
version=$(tree_version)
tag=${TAG:-$version}
output=${OUTPUT:-bin/images}

mkdir -p "$output"
for name in operator rosey; do
  build_image "$registry/$name:$tag" "$output/$name.tar" "./cmd/$name" "$version" "${PLATFORM:-}"
done
if [ -n "${REGISTRY:-}" ]; then
  for name in operator rosey; do
    push_image "$output/$name.tar" "$registry/$name:$tag"
    echo "pushed $registry/$name:$tag"
  done
else
  echo "Load the images into your cluster:"
  print_load_commands "$output"
  echo "Or push them to a registry: make images REGISTRY=host/path"
fi
cat <<END

Install the operator with them:
  helm upgrade --install rosey-operator charts/rosey-operator --namespace rosey-system --create-namespace \\
    --set-string image.repository=$registry/operator,image.tag=$tag,runtime.image=$registry/rosey:$tag --wait
END
