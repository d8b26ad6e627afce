# shellcheck shell=bash
# One line of progress on standard error: rewritten on a terminal, and now and then a new one in a file.

progress_due=0

# begin_progress: what takes a few seconds only adds no line to a file.
begin_progress() {
  progress_due=$SECONDS
  [ -t 2 ] || progress_due=$((SECONDS + 10))
}

# show_progress TEXT: at most once a second on a terminal, every 30 s elsewhere. The command PROGRESS_ALSO, if it is set,
# prints what else has progressed.
show_progress() {
  [ "$SECONDS" -ge "$progress_due" ] || return 0
  local also text columns
  also=${PROGRESS_ALSO:+$($PROGRESS_ALSO)}
  text=$1${also:+; $also}
  if [ -t 2 ]; then
    progress_due=$((SECONDS + 1))
    columns=$(stty size <&2 2>/dev/null | cut -d ' ' -f 2)
    [ "${columns:-0}" -gt 20 ] || columns=80 # a line that does not fit cannot be rewritten
    printf '\r%s\033[K' "${text:0:columns-1}" >&2
  else
    progress_due=$((SECONDS + 30))
    printf '%s\n' "$text" >&2
  fi
}

# end_progress TEXT: replaces the line of progress.
end_progress() {
  if [ -t 2 ]; then printf '\r%s\033[K\n' "$1" >&2; else printf '%s\n' "$1" >&2; fi
}
