package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"rosey.dev/rosey/runtime/platform"
)

// The files of a database contain what people said, so they are for their owner alone, whatever the umask.
//
// One directory is shared on purpose: the volume of a pod with fsGroup. Kubernetes gives it to a group of which the pod
// is a member, with the setgid bit, and its user may be another one after a restart. There the files are for the group
// too, or the next user could not open them.
const (
	ownerOnly    fs.FileMode = 0o600
	ownerOrGroup fs.FileMode = 0o660
)

// fileSuffixes are those of the files of a database: SQLite's own, and the lock.
var fileSuffixes = []string{"", "-wal", "-shm", "-journal", lockSuffix}

// permissionsIn returns the permissions of database files in a directory.
func permissionsIn(directory fs.FileInfo) fs.FileMode {
	if mode := directory.Mode(); mode&fs.ModeSetgid == 0 || mode.Perm()&0o020 == 0 {
		return ownerOnly
	}
	_, group := ownerOf(directory)
	groups, err := os.Getgroups()
	if err != nil || !slices.Contains(append(groups, os.Getegid()), group) {
		return ownerOnly
	}
	return ownerOrGroup
}

// ownerOf returns the user and the group that own a file.
func ownerOf(file fs.FileInfo) (user, group int) {
	if user, group, known := platform.Owner(file); known {
		return user, group
	}
	return os.Geteuid(), os.Getegid()
}

// createFile creates a file of a database with its permissions. The error is fs.ErrExist if it exists. like is a file
// whose owner gets it too; nil: the owner of the directory. Only root can give files away.
func createFile(path string, like fs.FileInfo) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	file, err := os.OpenFile(path, flags, ownerOnly) //nolint:gosec // the path is configuration
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", path, err)
	}
	if err := setPermissions(file, like); err != nil {
		_ = os.Remove(path) //nolint:gosec // the path is configuration
		return nil, errors.Join(fmt.Errorf("creating %s: %w", path, err), file.Close())
	}
	return file, nil
}

// setPermissions sets owner and permissions of a new file.
func setPermissions(file *os.File, like fs.FileInfo) error {
	directory, err := os.Stat(filepath.Dir(file.Name())) //nolint:gosec // the path is configuration
	if err != nil {
		return fmt.Errorf("finding its directory: %w", err)
	}
	if like == nil {
		like = directory
	}
	user, group := ownerOf(like)
	if directory.Mode()&fs.ModeSetgid != 0 {
		_, group = ownerOf(directory)
	}
	if os.Geteuid() == 0 {
		if err := file.Chown(user, group); err != nil && !isUnsupported(err) {
			return fmt.Errorf("giving it to user %d and group %d: %w", user, group, err)
		}
	} else if like != directory {
		_ = file.Chown(-1, group) // it succeeds in a group of which this user is a member
	}
	if err := file.Chmod(permissionsIn(directory)); err != nil && !isUnsupported(err) {
		return fmt.Errorf("setting its permissions: %w", err)
	}
	return nil
}

// isUnsupported reports whether a file system, or a process without capabilities, cannot change owner or permissions.
func isUnsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL)
}

// createDatabase creates an empty database unless there is one, and takes permissions for others away from the files of
// one that exists: earlier versions and other programs create them by the umask. SQLite gives its other files the
// permissions and the owner of the database.
func createDatabase(path string) error {
	switch file, err := createFile(path, nil); {
	case err == nil:
		return file.Close() //nolint:wrapcheck // nothing was written
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	restrict(path)
	return nil
}

// restrict takes permissions for others away from the files of a database, as far as this user may. It follows no
// symbolic links: run by root in somebody else's directory, it must not change a file elsewhere.
func restrict(path string) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	directory, err := root.Stat(".")
	if err != nil {
		return
	}
	permissions := permissionsIn(directory)
	for _, suffix := range fileSuffixes {
		name := filepath.Base(path) + suffix
		info, err := root.Lstat(name)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&^permissions != 0 {
			_ = root.Chmod(name, info.Mode().Perm()&permissions) // it fails for a file of another user
		}
	}
}

// explainPermissions adds to an error which file of a database, or its directory, this process may not use, and whose
// it is. SQLite only says that it cannot open a file, or that it cannot write.
func explainPermissions(err error, path string, want access) error {
	failure, ofSQLite := errors.AsType[*driver.Error](err)
	denied := errors.Is(err, fs.ErrPermission)
	if ofSQLite {
		switch failure.Code() & 0xff {
		case codes.SQLITE_CANTOPEN, codes.SQLITE_READONLY, codes.SQLITE_PERM, codes.SQLITE_IOERR:
			denied = true
		}
	}
	if !denied {
		return err
	}
	var names []string
	for _, suffix := range fileSuffixes {
		names = append(names, path+suffix)
	}
	for _, name := range append(names, filepath.Dir(path)) {
		info, statErr := os.Stat(name) //nolint:gosec // the path is configuration
		if statErr != nil || !platform.IsDenied(name, want == writing) {
			continue
		}
		user, group := ownerOf(info)
		return fmt.Errorf("%w: %s is %s of user %d and group %d, and this process is of user %d and group %d",
			err, name, info.Mode(), user, group, os.Geteuid(), os.Getegid())
	}
	return err
}
