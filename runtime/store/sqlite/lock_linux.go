package sqlite

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	// setLock is F_OFD_SETLK: a lock that belongs to the open file, and not, as SQLite's own, to the process.
	setLock = 37
	// lockOffset is a byte beside those that SQLite locks: 512 from 0x40000000 on.
	lockOffset = 0x40000400
)

// The kinds of locks.
const (
	exclusiveLock = syscall.F_WRLCK // of a file that is open for writing
	sharedLock    = syscall.F_RDLCK
)

// lockBytes locks a byte of a file, without waiting.
func lockBytes(file *os.File, kind int16) error {
	lock := syscall.Flock_t{Type: kind, Whence: io.SeekStart, Start: lockOffset, Len: 1}
	if err := syscall.FcntlFlock(file.Fd(), setLock, &lock); err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil
}
