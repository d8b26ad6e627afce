# shellcheck shell=bash
# Compiles Go programs, with the same flags everywhere, and shows how far that is with the functions of progress.sh.

# use_build_flags exports the flags with which everything is built: the programs of images, those of the local cluster,
# and the tests. With other flags, Go would compile every package again. Nothing here reads DWARF.
use_build_flags() {
  export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false -gcflags=all=-dwarf=false$(compiler_memory /)"
}

# compiler_memory ROOT: prints a flag with which compiler and linker collect garbage only when they need more than their
# share of half of the free memory, at most 2 GB: a quarter less processor time. An exported GOGC would also reach the
# tests.
compiler_memory() {
  local share
  share=$(($(free_memory "$1") / 2048 / $(getconf _NPROCESSORS_ONLN)))
  [ "$share" -lt 500 ] || echo " '-toolexec=env GOGC=off GOMEMLIMIT=$((share < 2000 ? share : 2000))MiB'"
}

# free_memory ROOT: prints how many kB the machine has left, or the control group, which has a limit of its own in a
# container; 0 if that is unknown. A container sees its own group at the top; outside a container it is below.
free_memory() {
  local root=$1 free controllers group top dir left
  free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' "$root/proc/meminfo" 2>/dev/null) || true
  free=${free:-0}
  while IFS=: read -r _ controllers group; do
    case $controllers in
      "") top=$root/sys/fs/cgroup ;;
      memory) top=$root/sys/fs/cgroup/memory ;;
      *) continue ;;
    esac
    for dir in "$top" "$top$group"; do
      left=$(free_memory_of_group "$dir")
      [ -z "$left" ] || [ "$left" -ge "$free" ] || free=$left
    done
  done < <(cat "$root/proc/self/cgroup" 2>/dev/null)
  echo "$free"
}

# free_memory_of_group DIR: prints how many kB a control group, of version 1 or 2, has left; nothing if it has no limit.
# The kernel gives up files that were not used lately.
free_memory_of_group() {
  local limit used files
  limit=$(cat "$1/memory.max" 2>/dev/null || cat "$1/memory.limit_in_bytes" 2>/dev/null) || return 0
  [ "$limit" != max ] && [ "$limit" -lt $((1 << 50)) ] || return 0 # more is what version 1 says for none
  used=$(cat "$1/memory.current" 2>/dev/null || cat "$1/memory.usage_in_bytes" 2>/dev/null) || used=0
  files=$(sed -n 's/^\(total_\)\{0,1\}inactive_file //p' "$1/memory.stat" 2>/dev/null | tail -n 1) || files=0
  used=$((used - ${files:-0}))
  echo $(((limit > used ? limit - used : 0) / 1024))
}

# compile WHAT LDFLAGS DIR PACKAGE…: builds programs of the current directory's module into DIR. Standard error shows
# WHAT, how many packages are compiled, and how long the rest may take; and what the command PROGRESS_ALSO prints, if it
# is set.
compile() (
  what=$1 ldflags=$2 dir=$3 started=$SECONDS
  shift 3
  plan=$(mktemp)
  log=$(mktemp)
  trap 'rm -f "$plan" "$log"' EXIT
  begin_progress
  if ! { uncompiled_packages "$@" >"$plan"; } 2>&1 | show_downloads "$what" >"$log" ||
    ! go build -v -ldflags "-s -w $ldflags" -o "$dir/" "$@" 2>&1 | show_packages "$what" "$plan" >"$log"; then
    end_progress "  $what: failed"
    cat "$log" >&2
    exit 1
  fi
  end_progress "  $what: $((SECONDS - started)) s"
)

# uncompiled_packages PACKAGE…: prints SIZE PACKAGE for each package that is not in Go's cache. A package takes about as
# long to compile as its source is long.
uncompiled_packages() {
  local files
  files=$(go list -deps -f "$uncompiled_files" "$@" | awk NF) || return
  [ -n "$files" ] || return 0
  cut -f 2 <<<"$files" | tr '\n' '\0' | xargs -0 wc -c | awk '$2 != "total" { print $1 }' | paste - <(cat <<<"$files") |
    awk -F '\t' '{ size[$2] += $1 } END { for (package in size) print size[package], package }'
}

# uncompiled_files is a format of go list: lines of PACKAGE, a tab and FILE.
# shellcheck disable=SC2016 # the variables are go list's
uncompiled_files='{{if .Stale}}{{$package := .ImportPath}}{{$dir := .Dir}}{{range .GoFiles}}{{$package}}{{"\t"}}{{$dir}}/{{.}}
{{end}}{{end}}'
