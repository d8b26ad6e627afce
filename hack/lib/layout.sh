# shellcheck shell=bash
# OCI image layouts (https://github.com/opencontainers/image-spec/blob/main/image-layout.md): images for several platforms
# in a directory, as registries serve them. The same archives give the same digests.

index_type=application/vnd.oci.image.index.v1+json

# write_layout DIR VERSION ANNOTATIONS ARCHIVE…: writes the image archives of hack/cluster, one for each platform, into the
# layout DIR as one index, and prints the index' digest. ANNOTATIONS are the members of a JSON object.
write_layout() {
  local dir=$1 version=$2 annotations=$3 archive manifests='' index
  shift 3
  mkdir -p "$dir/blobs/sha256"
  for archive in "$@"; do
    manifests+=${manifests:+,}$(add_image "$dir" "$archive") || return
  done
  index=$(printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s],"annotations":{%s}}' \
    "$index_type" "$manifests" "$annotations" | add_blob "$dir" "$index_type") || return
  printf '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
  # The name is what `ctr images import --base-name NAME` appends.
  printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
    "$index_type" "$index" "$version" >"$dir/index.json"
  grep -o 'sha256:[0-9a-f]*' <<<"$index"
}

# add_image DIR ARCHIVE: adds the image, and prints its descriptor with its platform.
add_image() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  kind=application/vnd.oci.image
  tar --directory "$work" --extract --file "$2" config.json layer.tar &&
    config=$(add_blob "$1" $kind.config.v1+json <"$work/config.json") &&
    layer=$(gzip --no-name --stdout "$work/layer.tar" | add_blob "$1" $kind.layer.v1.tar+gzip) &&
    manifest=$(printf '{"schemaVersion":2,"mediaType":"%s","config":{%s},"layers":[{%s}]}' \
      $kind.manifest.v1+json "$config" "$layer" | add_blob "$1" $kind.manifest.v1+json) || exit
  architecture=$(sed -n 's/^{"architecture":"\([a-z0-9]*\)".*/\1/p' "$work/config.json")
  printf '{%s,"platform":{"architecture":"%s","os":"linux"}}' "$manifest" "$architecture"
)

# add_blob DIR TYPE: stores standard input, and prints the members of its descriptor.
add_blob() {
  local file=$1/blobs/partial digest
  cat >"$file" || return
  digest=$(sha256sum <"$file")
  digest=${digest%% *}
  printf '"mediaType":"%s","digest":"sha256:%s","size":%d' "$2" "$digest" "$(wc -c <"$file")"
  mv "$file" "$1/blobs/sha256/$digest"
}

