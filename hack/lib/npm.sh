# shellcheck shell=bash
# Packages of the npm registry, pinned by the integrity that the registry has for a version.

# fetch_npm DIRECTORY NAME VERSION INTEGRITY: unpacks a package into DIRECTORY/NAME if its hash is the expected one. No
# script of the package is run. `npm view NAME@VERSION dist.integrity` prints the integrity.
fetch_npm() {
  local directory=$1 name=$2 version=$3 integrity=$4 archive hash
  archive=$(cd "$directory" && npm pack --silent --ignore-scripts "$name@$version") || return
  hash=sha512-$(openssl dgst -sha512 -binary "$directory/$archive" | base64 -w 0)
  if [ "$hash" != "$integrity" ]; then
    echo "$name@$version has the integrity $hash, expected $integrity" >&2
    return 1
  fi
  mkdir "$directory/$name"
  tar -xzf "$directory/$archive" -C "$directory/$name" --strip-components=1 --no-same-owner
}
