package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/platform"
)

const (
	lockSuffix = ".lock"
	// lockRetries and lockPause are how often, and after which time, a lock is tried again.
	lockRetries = 5
	lockPause   = 10 * time.Millisecond
)

// fileLock is a lock on a file beside the database, and one on the database itself. The file beside it is never
// removed: otherwise two processes could hold locks on two files of the same name. The lock on the database itself is
// for other names of the same file: hard links, and files that are mounted alone into a container.
type fileLock struct {
	beside   *os.File
	database *os.File // nil before lockInode
}

// resolve returns the path of a file without symbolic links, so that it has one lock. The file may be absent.
func resolve(path string) (string, error) {
	const maxLinks = 40 // as Linux has it
	for range maxLinks {
		directory, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", fmt.Errorf("finding its directory: %w", err)
		}
		if directory, err = filepath.Abs(directory); err != nil {
			return "", fmt.Errorf("finding its directory: %w", err)
		}
		path = filepath.Join(directory, filepath.Base(path))
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // it is no link, or absent
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(directory, target)
		}
		path = target
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// lockFile locks the file beside a database.
func lockFile(ctx context.Context, path string) (*fileLock, error) {
	// Without a database the lock file belongs to the owner of the directory.
	database, _ := os.Stat(path)
	file, err := createFile(path+lockSuffix, database)
	if errors.Is(err, fs.ErrExist) {
		file, err = os.OpenFile(path+lockSuffix, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the lock file of database %s: %w", path, err)
	}
	lock := &fileLock{beside: file}
	err = platform.TryLock(file)
	// A command that reads tries the lock for a moment, see isLocked.
	for range lockRetries {
		if !errors.Is(err, platform.ErrLocked) || !backoff.Sleep(ctx, lockPause) {
			break
		}
		err = platform.TryLock(file)
	}
	if errors.Is(err, platform.ErrLocked) {
		return nil, errors.Join(heldError(path, file), file.Close())
	}
	if err == nil {
		err = lock.writeHolder()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking database %s: %w", path, err), file.Close())
	}
	return lock, nil
}

// heldError is the error for a database whose lock file another process has locked.
func heldError(path string, lock *os.File) error {
	holder, _ := io.ReadAll(io.LimitReader(lock, 200)) // for the message alone, so an error leaves it empty
	return fmt.Errorf("database %s is open in another process: %s is locked by %s",
		path, path+lockSuffix, cmp.Or(strings.TrimSpace(string(holder)), "an unknown process"))
}

// errOtherName means that another process has the database open by another name of its file.
var errOtherName = errors.New("it is open in another process, under another name")

// lockInode locks the database itself, which must exist.
func (l *fileLock) lockInode(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the path is configuration
	if err != nil {
		return fmt.Errorf("opening it to lock it: %w", err)
	}
	// The descriptor stays open as long as SQLite uses the file: closing one releases SQLite's locks of this process.
	l.database = file
	if err := lockBytes(file, exclusiveLock); isHeld(err) {
		return errOtherName
	} // other errors: a file system without locks, where the lock beside the database has to do
	return nil
}

// isHeld reports whether lockBytes failed because another process has the lock.
func isHeld(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) }

// isLocked reports whether a service has a database open for writing.
func isLocked(path string) bool {
	path, err := resolve(path)
	if err != nil {
		return false
	}
	lock, err := lockBeside(path)
	if lock != nil {
		_ = lock.Close() // releases the lock
	}
	return err != nil
}

// lockBeside locks the file beside a database for reading, so that nobody opens the database for writing until the file
// is closed. It returns an error if somebody has it open. It returns no file if there is none, or if it is not for this
// user.
func lockBeside(path string) (*os.File, error) {
	file, err := os.Open(path + lockSuffix)
	if errors.Is(err, fs.ErrPermission) {
		if _, err := os.Stat(path + "-shm"); err == nil { // SQLite removes it when the database is closed
			return nil, fmt.Errorf("database %s is open in another process", path)
		}
	}
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // nobody has opened it for writing, or its lock is for other users
	}
	if errors.Is(platform.TryLockShared(file), platform.ErrLocked) {
		return nil, errors.Join(heldError(path, file), file.Close())
	}
	return file, nil
}

// LockForCopy keeps other processes from opening a database for writing until unlock is called. It returns an error if
// one has it open. The database must be closed before unlock is called.
func LockForCopy(path string) (unlock func(), err error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("locking database %s: %w", path, err)
	}
	beside, err := lockBeside(resolved)
	if err != nil {
		return nil, err
	}
	database, err := os.Open(resolved)
	if err == nil && isHeld(lockBytes(database, sharedLock)) {
		err = fmt.Errorf("database %s: %w", path, errOtherName)
	} else {
		err = nil // one that cannot be opened cannot be copied either, which has a better error
	}
	unlock = func() {
		for _, file := range []*os.File{beside, database} {
			if file != nil {
				_ = file.Close() // it was only read
			}
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// writeHolder writes who holds the lock, for the error of other processes.
func (l *fileLock) writeHolder() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := l.beside.Truncate(0); err != nil {
		return fmt.Errorf("truncating the lock file: %w", err)
	}
	if _, err := l.beside.WriteAt(fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}

func (l *fileLock) release() error {
	err := l.beside.Close()
	if l.database != nil {
		err = errors.Join(err, l.database.Close())
	}
	if err != nil {
		return fmt.Errorf("releasing the lock: %w", err)
	}
	return nil
}
