# Container images from Go packages, without a registry and without a network.
# shellcheck shell=bash

# build_image NAME:TAG FILE IMPORTPATH VERSION: builds an image of the Go program at IMPORTPATH, resolved in the current
# directory's module, as a tar file that containerd and docker can load. The same source gives the same image.
build_image() {
  local name=$1 output=$2 package=$3 version=$4 ko_cache base label=()
  [[ -z $version ]] || label=(--image-label "org.opencontainers.image.version=$version")
  ko_cache=$CACHE/ko/$(printf '%s\n' "$PWD" "$package" | sha256sum | cut -c1-16)
  lock_directory "$ko_cache" # ko writes its cache in place
  local image_lock=$LOCK
  base=$(write_base_image "$ko_cache/img") || return # set -e has no effect in a function called in a condition
  # VERSION is for a .ko.yaml that writes it into the program.
  VERSION=$version KOCACHE=$ko_cache KO_DEFAULTBASEIMAGE=$base KO_DOCKER_REPO=${name%:*} \
    SOURCE_DATE_EPOCH=0 KO_DATA_DATE_EPOCH=0 GOFLAGS="${GOFLAGS:-} -buildvcs=false" \
    "$TOOLS/bin/ko" build --bare --tags "${name##*:}" --push=false --sbom=none --platform "linux/$(go env GOARCH)" \
    "${label[@]}" --tarball "$output.partial" "$package" || {
    rm -f "$output.partial"
    return 1
  }
  mv "$output.partial" "$output" || return
  unlock "$image_lock"
}

# write_base_image DIR: writes the base of all images into DIR, ko's cache of base images, and prints its name. ko does
# not ask a registry only if the base is named by digest and is in that cache. The base has one layer with the machine's
# CA certificates, and a numeric user, which a pod with runAsNonRoot needs.
write_base_image() {
  local dir=$1 layer layer_size config manifest
  rm -rf "$dir"
  mkdir -p "$dir/blobs/sha256"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"

  ca_certificates_layer >"$dir/layer.tar"
  layer=$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)
  layer_size=$(stat -c %s "$dir/layer.tar")
  mv "$dir/layer.tar" "$dir/blobs/sha256/$layer"

  config='{"architecture":"'$(go env GOARCH)'","os":"linux","config":{"User":"65532:65532"},"rootfs":{"type":"layers",'
  config+='"diff_ids":["sha256:'$layer'"]}}'
  manifest='{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
  manifest+=$(write_blob "$dir" application/vnd.oci.image.config.v1+json "$config")
  manifest+=',"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":'$layer_size
  manifest+=',"digest":"sha256:'$layer'"}]}'
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' \
    "$(write_blob "$dir" application/vnd.oci.image.manifest.v1+json "$manifest")" >"$dir/index.json"
  echo "rosey.local/base@sha256:$(printf %s "$manifest" | sha256sum | cut -d' ' -f1)"
}

# write_blob DIR MEDIATYPE TEXT: stores TEXT under its digest and prints its descriptor.
write_blob() {
  local digest
  digest=$(printf %s "$3" | sha256sum | cut -d' ' -f1)
  printf %s "$3" >"$1/blobs/sha256/$digest"
  printf '{"mediaType":"%s","size":%d,"digest":"sha256:%s"}' "$2" "$(printf %s "$3" | wc -c)" "$digest"
}

ca_certificates_layer() {
  [[ -r /etc/ssl/certs/ca-certificates.crt ]] ||
    fail "/etc/ssl/certs/ca-certificates.crt is missing: install the package ca-certificates"
  tar --directory=/ --dereference --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0444 \
    --create etc/ssl/certs/ca-certificates.crt
}
