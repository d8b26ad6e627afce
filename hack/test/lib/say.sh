# shellcheck shell=bash
# What is being done, with the seconds since the start in front; what this machine cannot do is kept for the end.

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

left_out=()
leave_out() { left_out+=("$*"); }

report_left_out() {
  [ "${#left_out[@]}" -eq 0 ] || printf 'left out: %s\n' "${left_out[@]}"
}
