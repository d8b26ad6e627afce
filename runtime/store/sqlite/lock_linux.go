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

// lockBytes locks a byte of a file, without waiting.
func lockBytes(file *os.File) error {
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: lockOffset, Len: 1}
	if err := syscall.FcntlFlock(file.Fd(), setLock, &lock); err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil
}
