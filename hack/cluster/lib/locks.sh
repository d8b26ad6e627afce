# Advisory locks on directories. A lock is held until the process exits or unlock is called.
# shellcheck shell=bash

# lock_directory DIR: creates DIR if needed, waits for its lock and stores the file descriptor in LOCK. Teardown may
# remove a directory that others are waiting for. A lock on a removed directory protects nothing, so lock_directory then
# locks the directory that has the path now.
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

# unlock FD: releases a lock.
unlock() {
  local lock=$1
  exec {lock}<&-
}
