//go:build unix

package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// OpenUntrusted are flags for opening a file that somebody else may have created: a symbolic link is not followed, and
// a pipe does not block.
const OpenUntrusted = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

// Lock locks an open file until it is closed. It waits while another process has it.
func Lock(file *os.File) error { return flock(file, syscall.LOCK_EX) }

// TryLock locks an open file until it is closed, without waiting. The error is ErrLocked if it is locked.
func TryLock(file *os.File) error { return flock(file, syscall.LOCK_EX|syscall.LOCK_NB) }

// TryLockShared locks an open file as TryLock does, beside others that lock it with this function.
func TryLockShared(file *os.File) error { return flock(file, syscall.LOCK_SH|syscall.LOCK_NB) }

func flock(file *os.File, how int) error {
	err := syscall.Flock(int(file.Fd()), how)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil
}

// Owner returns the user and the group that own a file. known is false where files have no such owners.
func Owner(file fs.FileInfo) (user, group int, known bool) {
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// IsUnlinked reports whether no directory has the file any more. One that is mounted alone into a container can still
// be found then, and is gone when the container ends.
func IsUnlinked(file fs.FileInfo) bool {
	stat, ok := file.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// IsDenied reports whether the permissions of a file keep this process from reading it or, with write, from changing
// it.
func IsDenied(name string, write bool) bool {
	const read, readAndWrite = 4, 6
	mode := uint32(read)
	if write {
		mode = readAndWrite
	}
	return errors.Is(syscall.Access(name, mode), fs.ErrPermission)
}

// FreeSpace returns how many bytes this process can still write below a directory.
func FreeSpace(directory string) (uint64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(directory, &disk); err != nil {
		return 0, fmt.Errorf("reading the free space of %s: %w", directory, err)
	}
	return disk.Bavail * uint64(max(disk.Bsize, 0)), nil
}

// IsFull reports whether an error says that a volume, or what this user may have of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// OwnGroup has a command that was not started yet run in a process group of its own, which Terminate and Kill end.
func OwnGroup(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Terminate asks the process of OwnGroup, and those that it has started, to end. The error is errors.ErrUnsupported on
// systems that cannot.
func Terminate(process *os.Process) error {
	if err := syscall.Kill(-process.Pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("asking the process %d to end: %w", process.Pid, err)
	}
	return nil
}

// Kill ends the process of OwnGroup, and those that it has started. It is no error if there are none.
func Kill(process *os.Process) error {
	if err := syscall.Kill(-process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending the process %d: %w", process.Pid, err)
	}
	return nil
}
