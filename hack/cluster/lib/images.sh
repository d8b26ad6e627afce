# Container images without a registry, without Docker and without a network: one layer in a tar file that containerd,
# docker, kind, k3d and minikube can load.
# shellcheck shell=bash

CA_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# build_image NAME:TAG FILE IMPORTPATH VERSION LABELS: builds an image of the Go program at IMPORTPATH, resolved in the
# current directory's module. VERSION is written into the program's variable main.version. The same source gives the same
# image. The architecture is GOARCH.
build_image() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  use_build_flags
  export GOOS=linux
  compile "image $1" "${4:+-X main.version=$4}" "$work" "$3" && program_image "$work/"* "$1" "$2" "$5"
)

# program_image PROGRAM NAME:TAG FILE LABELS: writes an image of a program that needs no libraries, with CA certificates
# and a numeric user, which a pod with runAsNonRoot needs. LABELS are the members of a JSON object.
program_image() (
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  mkdir -p "$root/bin" "$root${CA_CERTIFICATES%/*}"
  [[ -r $CA_CERTIFICATES ]] || fail "$CA_CERTIFICATES is missing: install the package ca-certificates"
  config='{"User":"65532:65532","Entrypoint":["/bin/'${1##*/}'"],"Env":["PATH=/bin"]'
  [[ -z $4 ]] || config+=',"Labels":{'$4'}'
  cp "$1" "$root/bin/" && cp "$CA_CERTIFICATES" "$root$CA_CERTIFICATES" && write_image "$root" "$2" "$3" "$config}"
)

# write_image ROOT NAME:TAG FILE CONFIG: writes the directory ROOT as an image with one layer. Modes do not depend on the
# umask, nor times on the clock.
write_image() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  tar --directory "$1" --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX --create --file "$work/layer.tar" . || return
  layer=$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(go env GOARCH)" "$4" "$layer" >"$work/config.json"
  echo '[{"Config":"config.json","RepoTags":["'"$2"'"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
  tar --directory "$work" --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --create --file "$3.partial" manifest.json config.json layer.tar && mv "$3.partial" "$3"
)
