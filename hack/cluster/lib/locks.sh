# One call at a time: an advisory lock on a directory, held until the process ends or unlock is called.
# shellcheck shell=bash

# lock_directory DIR: makes DIR if needed and waits for its lock, whose file descriptor is then in LOCK. Teardown
# removes directories that others may be waiting for: a lock on one that is gone protects nothing, so it is tried
# again on the one that stands there now.
lock_directory() {
  local dir=$1
  while :; do
    mkdir -p "$dir"
    if exec {LOCK}<"$dir" && flock "$LOCK" && [[ /proc/self/fd/$LOCK -ef $dir ]]; then
      return
    fi
    exec {LOCK}<&-
  done
}

# unlock FD: lets go of a lock before the process ends.
unlock() {
  local lock=$1
  exec {lock}<&-
}
