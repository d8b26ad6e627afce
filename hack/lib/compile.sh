# shellcheck shell=bash
# Compiles Go programs, with the same flags everywhere, and shows how far that is.

# use_build_flags exports the flags with which everything is built: the programs of images, those of the local cluster,
# and the tests. With other flags, Go would compile every package again. Nothing here reads DWARF.
use_build_flags() {
  export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false -gcflags=all=-dwarf=false"
}

# compiler_memory prints variables with which compiler and linker collect garbage only when they need more than their
# share of half of the free memory, at most 2 GB: a quarter less processor time. They are for the compiler alone.
compiler_memory() {
  local share=0
  [ ! -r /proc/meminfo ] ||
    share=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 2048 / $(getconf _NPROCESSORS_ONLN)))
  [ "$share" -lt 500 ] || echo "GOGC=off GOMEMLIMIT=$((share < 2000 ? share : 2000))MiB"
}

# compile WHAT LDFLAGS DIR PACKAGE…: builds programs of the current directory's module into DIR. Standard error shows
# WHAT, how many packages are compiled, and how long the rest may take; and what the command PROGRESS_ALSO prints, if it
# is set.
compile() {
  local what=$1 ldflags=$2 dir=$3 started=$SECONDS memory plan log
  shift 3
  read -r -a memory <<<"$(compiler_memory)"
  plan=$(mktemp)
  log=$(mktemp)
  begin_progress
  if ! { uncompiled_packages "$@" >"$plan"; } 2>&1 | show_downloads "$what" >"$log" ||
    ! env "${memory[@]}" go build -v -ldflags "-s -w $ldflags" -o "$dir/" "$@" 2>&1 | show_packages "$what" "$plan" >"$log"; then
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

# show_downloads WHAT: reads what go prints while it downloads modules, and prints what is no download.
show_downloads() {
  local line count=0
  while read -r line; do
    case $line in
      "go: downloading "*) count=$((count + 1)); show_progress "  $1: $count modules downloaded" ;;
      *) echo "$line" ;;
    esac
  done
}

# show_packages WHAT PLAN: reads the packages that go build begins to compile, and prints the other lines. PLAN is from
# uncompiled_packages.
show_packages() {
  local what=$1 line package size begun=0 all=0 sizes_all=0 sizes_done=0 started=$SECONDS status
  local -A sizes=()
  local -a running=()
  while read -r size package; do
    sizes[$package]=$size
    all=$((all + 1)) sizes_all=$((sizes_all + size))
  done <"$2"
  while :; do
    status=0
    read -r -t 1 line || status=$?
    [ "$status" -eq 0 ] || [ "$status" -gt 128 ] || break # the end, or else nothing for a second
    if [ "$status" -eq 0 ]; then
      [ -n "${sizes[$line]-}" ] || { echo "$line"; continue; }
      begun=$((begun + 1))
      running+=("${sizes[$line]}")
      # As many packages are compiled at once as there are processors: those before them are compiled.
      if [ "${#running[@]}" -gt "$(getconf _NPROCESSORS_ONLN)" ]; then
        sizes_done=$((sizes_done + running[0]))
        running=("${running[@]:1}")
      fi
    fi
    show_progress "  $what: $begun of $all packages$(time_left $((SECONDS - started)) "$sizes_done" "$sizes_all")"
  done
}

# time_left SECONDS DONE ALL: prints an estimate once a twentieth is done. Before that it would be a guess.
time_left() {
  [ "$(($2 * 20))" -ge "$3" ] || return 0
  [ "$1" -ge 5 ] || return 0
  local seconds=$(($1 * ($3 - $2) / $2))
  if [ "$seconds" -lt 45 ]; then
    printf ', less than a minute left'
  elif [ "$seconds" -lt 90 ]; then
    printf ', about a minute left'
  else
    printf ', about %d minutes left' $(((seconds + 30) / 60))
  fi
}
