# shellcheck shell=bash
# Progress messages.

# say MESSAGE...: prints a message after the seconds since the start.
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
