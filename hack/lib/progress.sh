# shellcheck shell=bash
# One line of progress on standard error: rewritten on a terminal, and now and then a new one in a file.

progress_due=0

# begin_progress: what takes a few seconds only adds no line to a file.
begin_progress() {
  progress_due=$SECONDS
  [ -t 2 ] || progress_due=$((SECONDS + 10))
}

# show_progress WHAT STATE: at most once a second on a terminal, every 30 s elsewhere. The command PROGRESS_ALSO, if it is
# set, prints what else has progressed.
show_progress() {
  [ "$SECONDS" -ge "$progress_due" ] || return 0
  local text also columns
  also=${PROGRESS_ALSO:+$($PROGRESS_ALSO)}
  text=$2${also:+; $also}
  if [ -t 2 ]; then
    progress_due=$((SECONDS + 1))
    columns=$(stty size <&2 2>/dev/null | cut -d ' ' -f 2)
    [ "${columns:-0}" -gt 20 ] || columns=80
    # A line that does not fit cannot be rewritten.
    [ "$((${#1} + ${#text} + 5))" -gt "$columns" ] || text="$1: $text"
    text="  $text"
    printf '\r%s\033[K' "${text:0:columns-1}" >&2
  else
    progress_due=$((SECONDS + 30))
    printf '  %s: %s\n' "$1" "$text" >&2
  fi
}

# end_progress TEXT: replaces the line of progress.
end_progress() {
  if [ -t 2 ]; then printf '\r%s\033[K\n' "$1" >&2; else printf '%s\n' "$1" >&2; fi
}

# show_downloads WHAT: reads what go prints while it downloads modules, and prints what is no download.
show_downloads() {
  local line='' count=0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "go: downloading "*) count=$((count + 1)); show_progress "$1" "$count modules downloaded" ;;
      *) echo "$line" ;;
    esac
  done
}

# show_packages WHAT PLAN: reads the packages that go build begins to compile, and prints the other lines. The file PLAN
# has a line SIZE PACKAGE for each package that it will compile.
show_packages() {
  local what=$1 line='' part package size begun=0 all=0 sizes_all=0 sizes_done=0 started=$SECONDS status processors
  local -A sizes=()
  local -a running=()
  processors=$(getconf _NPROCESSORS_ONLN)
  while read -r size package; do
    sizes[$package]=$size
    all=$((all + 1)) sizes_all=$((sizes_all + size))
  done <"$2"
  while :; do
    status=0
    IFS= read -r -t 1 part || status=$?
    line+=$part # after a second without more, it may be the beginning of a line
    if [ "$status" -gt 0 ] && [ "$status" -le 128 ]; then # the end
      [ -z "$line" ] || echo "$line"
      break
    fi
    if [ "$status" -eq 0 ]; then
      # An empty line is no subscript.
      size=
      [ -z "$line" ] || size=${sizes[$line]-}
      [ -n "$size" ] || echo "$line"
      line=
      [ -n "$size" ] || continue
      begun=$((begun + 1))
      running+=("$size")
      # As many packages are compiled at once as there are processors: those before them are compiled.
      if [ "${#running[@]}" -gt "$processors" ]; then
        sizes_done=$((sizes_done + running[0]))
        running=("${running[@]:1}")
      fi
    fi
    [ "$SECONDS" -lt "$progress_due" ] ||
      show_progress "$what" "$begun of $all packages$(time_left $((SECONDS - started)) "$sizes_done" "$sizes_all")"
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
