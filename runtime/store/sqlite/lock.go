package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// LockedError says that another process has the database open for writing.
type LockedError struct {
	Path string
	// Holder is what the other process wrote about itself.
	Holder string
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("database %s is open in another process: %s is locked by %s",
		e.Path, e.Path+lockSuffix, cmp.Or(e.Holder, "a process that did not say who it is"))
}

const lockSuffix = ".lock"

// fileLock keeps two services from writing one file. SQLite alone would let them take turns, and
// each would count and answer as if it were alone.
//
// The lock is beside the database and stays there: removing it would let two processes hold locks on
// two files of one name. The kernel releases it when the process dies.
type fileLock struct{ file *os.File }

func lockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is configuration
	if err != nil {
		return nil, fmt.Errorf("opening the lock of database %s: %w", path, err)
	}
	lock := &fileLock{file: file}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		// Only to name it; what cannot be read is left out.
		holder, _ := io.ReadAll(io.LimitReader(file, 200))
		return nil, errors.Join(&LockedError{Path: path, Holder: strings.TrimSpace(string(holder))}, file.Close())
	}
	if err == nil {
		err = lock.sign()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking database %s: %w", path, err), file.Close())
	}
	return lock, nil
}

// sign tells who holds the lock, for the error message of the one who waits for it.
func (l *fileLock) sign() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("emptying it: %w", err)
	}
	if _, err := l.file.WriteAt(fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0); err != nil {
		return fmt.Errorf("writing to it: %w", err)
	}
	return nil
}

func (l *fileLock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("releasing the lock: %w", err)
	}
	return nil
}
