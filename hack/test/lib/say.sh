# shellcheck shell=bash
# Progress messages, and the parts that this machine cannot run.

# say MESSAGE...: prints a message after the seconds since the start.
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

left_out=()

# leave_out REASON...: records a part that cannot run here, for report_left_out.
leave_out() { left_out+=("$*"); }

report_left_out() {
  [ "${#left_out[@]}" -eq 0 ] || printf 'left out: %s\n' "${left_out[@]}"
}
