# shellcheck shell=bash
# What is being done, with the seconds since the start in front.

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
