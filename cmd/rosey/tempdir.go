package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/platform"
)

const (
	// tempLock is the file in a temporary directory that its command has locked.
	tempLock = "lock"
	// unlockedFor is how old a directory without that file must be to count as abandoned: a command may just create it.
	unlockedFor = time.Minute
)

// tempDir creates a directory in parent for a copy of a database, whose name begins with prefix. It removes those of
// earlier commands that were killed, since each may be as large as the database. remove removes the new one.
func tempDir(parent, prefix string) (dir string, remove func() error, err error) {
	removeAbandoned(parent, prefix)
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, fmt.Errorf("creating a temporary directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, tempLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = platform.TryLock(lock)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("locking a temporary directory: %w", err), os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// removeAbandoned removes directories of commands that do not run any more. It is best effort: one that cannot be
// removed, for example of another user, is no reason not to create another one.
func removeAbandoned(parent, prefix string) {
	if parent == "" {
		parent = os.TempDir()
	}
	entries, _ := os.ReadDir(parent)
	for _, entry := range entries {
		dir := filepath.Join(parent, entry.Name())
		if entry.IsDir() && strings.HasPrefix(entry.Name(), prefix) && isAbandoned(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

func isAbandoned(dir string) bool {
	// In a directory for all users somebody else may have created it, with a pipe that blocks whoever opens it.
	lock, err := os.OpenFile(filepath.Join(dir, tempLock), os.O_RDONLY|platform.OpenUntrusted, 0)
	if errors.Is(err, fs.ErrNotExist) {
		info, err := os.Lstat(dir)
		return err == nil && time.Since(info.ModTime()) > unlockedFor
	}
	if err != nil {
		return false
	}
	defer func() { _ = lock.Close() }() // releases the lock
	return platform.TryLock(lock) == nil
}
