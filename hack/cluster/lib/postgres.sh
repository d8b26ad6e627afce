# Builds an image of PostgreSQL for tests from the files of Debian's package on this machine, since no registry is used.
# shellcheck shell=bash

POSTGRES_LIB=/usr/lib/postgresql

# build_postgres_image NAME:TAG FILE
build_postgres_image() (
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  # set -e has no effect in a function called in a condition.
  copy_postgres "$root" &&
    copy_libraries "$root" &&
    write_accounts "$root" &&
    write_image "$root" "$1" "$2" '{"User":"999:999","Entrypoint":["/start"],"Env":["PATH=/usr/lib/postgres/bin:/bin"]}'
)

# copy_postgres ROOT: copies the newest installed version, without the parts that compile queries and extensions; a
# shell, through which initdb starts the server; and what the start script needs.
copy_postgres() {
  local root=$1 version path
  version=$(find $POSTGRES_LIB -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V | tail -n 1)
  for path in "$POSTGRES_LIB/$version" "/usr/share/postgresql/$version" /usr/share/zoneinfo /usr/lib/locale/C.utf8 \
    /bin/sh /bin/mv /bin/rm; do
    copy_into "$root" "$path" || return
  done
  rm -rf "$root$POSTGRES_LIB/$version"/lib/{bitcode,pgxs,llvmjit*} "$root/usr/share/postgresql/$version/man" \
    "$root"/usr/share/zoneinfo/{right,posix}
  ln -s "postgresql/$version" "$root/usr/lib/postgres" # so that a manifest does not depend on the version
  cp "$CLUSTER_HOME/images/postgres-start" "$root/start"
}

# copy_into ROOT PATH: copies PATH and follows symbolic links.
copy_into() {
  mkdir -p "$1$(dirname "$2")"
  cp --recursive --dereference --preserve=mode "$2" "$1$2"
}

# copy_libraries ROOT: copies the libraries that the programs in ROOT are linked with, and the loader.
copy_libraries() {
  local root=$1 library
  # ldd fails for files that are not linked with anything, such as the start script.
  { find "$root" -type f \( -perm -u+x -o -name '*.so' \) -exec ldd {} + 2>/dev/null || true; } |
    sed -n 's|^\(.* => \)\?[[:space:]]*\(/[^ ]*\) (0x.*|\2|p' | sort -u | while read -r library; do
    copy_into "$root" "$library" || return
  done
}

# write_accounts ROOT: PostgreSQL refuses to run as a user without an account.
write_accounts() {
  mkdir -p "$1/etc"
  echo 'postgres:x:999:999::/:/bin/sh' >"$1/etc/passwd"
  echo 'postgres:x:999:' >"$1/etc/group"
}
