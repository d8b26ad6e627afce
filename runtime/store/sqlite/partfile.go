package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// partInfix is between the name of a target and the random end of a part's name.
const partInfix = ".part-"

// createPart creates an empty file beside its target, with the permissions of a database file. It belongs to the owner
// of the database, if root runs this; of no database: to the owner of the directory. remove removes it unless it was
// published. Parts of the same target whose processes were killed are removed.
func createPart(target string, database fs.FileInfo) (part string, remove func() error, err error) {
	removeAbandonedParts(target)
	file, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+partInfix+"*")
	if err != nil {
		return "", nil, fmt.Errorf("creating a file beside it: %w", err)
	}
	part = file.Name()
	// It stays open, so that another process sees that this one is alive, and as long as SQLite uses the file.
	remove = func() error { return errors.Join(file.Close(), removePart(part)) }
	_ = lockBytes(file, exclusiveLock) // a file system without locks is no reason not to make a copy
	if err := setPermissions(file, database); err != nil {
		return "", nil, errors.Join(fmt.Errorf("creating a file beside it: %w", err), remove())
	}
	return part, remove, nil
}

// removeAbandonedParts removes parts of a target that no process has open. It is best effort: the new part does not
// depend on it.
func removeAbandonedParts(target string) {
	entries, _ := os.ReadDir(filepath.Dir(target))
	for _, entry := range entries {
		end, isPart := strings.CutPrefix(entry.Name(), filepath.Base(target)+partInfix)
		if !isPart || !entry.Type().IsRegular() || strings.Trim(end, "0123456789") != "" {
			continue
		}
		part := filepath.Join(filepath.Dir(target), entry.Name())
		file, err := os.OpenFile(part, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lockBytes(file, exclusiveLock) == nil {
			_ = removePart(part)
		}
		_ = file.Close()
	}
}

// removePart removes a part that was not published, and what SQLite has left beside it.
func removePart(part string) error {
	for _, suffix := range fileSuffixes {
		if err := os.Remove(part + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the incomplete copy: %w", err)
		}
	}
	return nil
}

// publishPart renames a complete part to its target, so that the target is complete after a power failure, too.
func publishPart(part, target string) error {
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, target); err != nil {
		return fmt.Errorf("renaming the copy: %w", err)
	}
	return syncFile(filepath.Dir(target))
}

// syncFile waits until a file or a directory is on the disk.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening %s to sync it: %w", path, err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return nil
}
