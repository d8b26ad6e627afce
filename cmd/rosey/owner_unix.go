//go:build unix

package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// checkOwner reports a directory of another user into which root is about to write files that only root could read.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	name := strconv.FormatUint(uint64(owner.Uid), 10)
	if known, err := user.LookupId(name); err == nil {
		name = known.Username
	}
	return fmt.Errorf("%s belongs to %s, who could not read files of root: use runuser -u %s -- rosey init",
		dir, name, name)
}
