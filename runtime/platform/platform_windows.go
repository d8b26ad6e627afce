package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"

	"golang.org/x/sys/windows"
)

// OpenUntrusted has no meaning here: temporary directories belong to one user.
const OpenUntrusted = 0

// lockedByte is what is locked of a file. Nobody can read locked bytes, so it is behind all content.
const lockedByte = math.MaxInt32

// Lock locks an open file until it is closed. It waits while another process has it.
func Lock(file *os.File) error { return lock(file, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// TryLock locks an open file until it is closed, without waiting. The error is ErrLocked if it is locked.
func TryLock(file *os.File) error {
	return lock(file, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
}

// TryLockShared locks an open file as TryLock does, beside others that lock it with this function.
func TryLockShared(file *os.File) error { return lock(file, windows.LOCKFILE_FAIL_IMMEDIATELY) }

func lock(file *os.File, flags uint32) error {
	where := windows.Overlapped{Offset: lockedByte}
	err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &where)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil
}

// Owner knows no owners: access is what access control lists say.
func Owner(fs.FileInfo) (user, group int, known bool) { return 0, 0, false }

// IsUnlinked is always false: an open file cannot be removed.
func IsUnlinked(fs.FileInfo) bool { return false }

// IsDenied knows no permissions: the system's own error has to do.
func IsDenied(string, bool) bool { return false }

// FreeSpace returns how many bytes this process can still write below a directory.
func FreeSpace(directory string) (free uint64, err error) {
	name, err := windows.UTF16PtrFromString(directory)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the free space of %s: %w", directory, err)
	}
	return free, nil
}

// IsFull reports whether an error says that a volume, or what this user may have of it, is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// OwnGroup does nothing: Windows knows no process groups that end together.
func OwnGroup(*exec.Cmd) {}

// Terminate returns errors.ErrUnsupported: Windows cannot ask a process without a window to end.
func Terminate(*os.Process) error { return errors.ErrUnsupported }

// Kill ends the process. It is no error if it has ended.
func Kill(process *os.Process) error {
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the process %d: %w", process.Pid, err)
	}
	return nil
}
