# shellcheck shell=bash
# Compiles Go programs, with the same flags everywhere, and shows how far that is with the functions of progress.sh.

# use_build_flags exports the flags with which everything is built: the programs of images, those of the local cluster,
# and the tests. With other flags, Go would compile every package again. Nothing here reads DWARF.
use_build_flags() {
  export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false -gcflags=all=-dwarf=false$(compiler_memory)"
}

# compiler_memory prints a flag with which compiler and linker collect garbage only when they need more than their share
# of half of the free memory, at most 2 GB: a quarter less processor time. An exported GOGC would also reach the tests.
compiler_memory() {
  local share=0
  [ ! -r /proc/meminfo ] ||
    share=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 2048 / $(getconf _NPROCESSORS_ONLN)))
  [ "$share" -lt 500 ] || echo " '-toolexec=env GOGC=off GOMEMLIMIT=$((share < 2000 ? share : 2000))MiB'"
}

# compile WHAT LDFLAGS DIR PACKAGE…: builds programs of the current directory's module into DIR. Standard error shows
# WHAT, how many packages are compiled, and how long the rest may take; and what the command PROGRESS_ALSO prints, if it
# is set.
compile() {
  local what=$1 ldflags=$2 dir=$3 started=$SECONDS plan log
  shift 3
  plan=$(mktemp)
  log=$(mktemp)
  begin_progress
  if ! { uncompiled_packages "$@" >"$plan"; } 2>&1 | show_downloads "$what" >"$log" ||
    ! go build -v -ldflags "-s -w $ldflags" -o "$dir/" "$@" 2>&1 | show_packages "$what" "$plan" >"$log"; then
    end_progress "  $what: failed"
    cat "$log" >&2
    rm "$plan" "$log"
    return 1
  fi
  end_progress "  $what: $((SECONDS - started)) s"
  rm "$plan" "$log"
}

# uncompiled_packages PACKAGE…: prints SIZE PACKAGE for each package that is not in Go's cache. A package takes about as
# long to compile as its source is long.
uncompiled_packages() {
  local files
  files=$(go list -deps -f "$uncompiled_files" "$@" | awk NF) || return
  cut -f 2 <<<"$files" | tr '\n' '\0' | xargs -0 wc -c | awk '$2 != "total" { print $1 }' | paste - <(cat <<<"$files") |
    awk -F '\t' '{ size[$2] += $1 } END { for (package in size) print size[package], package }'
}

# uncompiled_files is a format of go list: lines of PACKAGE, a tab and FILE.
# shellcheck disable=SC2016 # the variables are go list's
uncompiled_files='{{if .Stale}}{{$package := .ImportPath}}{{$dir := .Dir}}{{range .GoFiles}}{{$package}}{{"\t"}}{{$dir}}/{{.}}
{{end}}{{end}}'
