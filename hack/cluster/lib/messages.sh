# Messages, on standard error, so that standard output has only results.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "cluster: $*"
  exit 1
}

# seconds_since START: the time since START, a value of EPOCHREALTIME, as 12.3
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# wait_for SECONDS CONDITION COMMAND…: retries COMMAND until it succeeds; fails with the text CONDITION after SECONDS.
wait_for() {
  local limit=$1 what=$2 deadline=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "$what: not within $limit s"
    sleep 0.1
  done
}
