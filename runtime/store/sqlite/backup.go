package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// Backup copies a snapshot of the database at path to a new file, while a service may write to it. It returns the size
// of the copy in bytes. The file gets its name when it is complete and checked. An existing file is not replaced. The
// copy is for the owner of the database alone, also if root makes it.
func Backup(ctx context.Context, path, backup string) (size int64, err error) {
	if _, err := os.Lstat(backup); err == nil {
		return 0, fmt.Errorf("backup file %s: it exists, expected a new name", backup)
	} else if !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	database, err := os.Stat(path)
	if err == nil { // before anything is created
		err = readOwn(ctx, path, func(*Snapshot, relational.Schema) error { return nil })
	}
	if err != nil {
		return 0, fmt.Errorf("backing up database %s: %w", path, err)
	}
	part, remove, err := createPart(backup, database)
	if err != nil {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	err = copyOwn(ctx, path, part)
	if errors.Is(err, errInUse) { // a service has started
		if err = os.Truncate(part, 0); err == nil {
			err = copyOwn(ctx, path, part)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("backing up database %s: %w", path, classify(err))
	}
	if err := readOwn(ctx, part, checkIntact(ctx)); err != nil {
		return 0, fmt.Errorf("checking the copy of database %s: %w", path, err)
	}
	if err := publishPart(part, backup); err != nil {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	info, err := os.Stat(backup)
	if err != nil {
		return 0, fmt.Errorf("measuring backup %s: %w", backup, err)
	}
	return info.Size(), nil
}

// Backup implements store.Backuper. It is the function Backup.
func (s *Store) Backup(ctx context.Context, file string) (size int64, err error) {
	// Where the database was, there may be another one now, and the copy would count as one of this.
	if err := s.db.files.check(); err != nil {
		return 0, err
	}
	return Backup(ctx, s.path, file)
}

// CheckBackup returns an error if a file cannot be restored: it is not a database of this program, one of a later
// version, or a part of one. With readAll the whole file is read, as Restore does, so that damage in it is found. The
// error does not name the file.
func CheckBackup(ctx context.Context, file string, readAll bool) error {
	_, _, err := checkBackup(ctx, file, readAll)
	return classify(err)
}

// CheckBackup implements store.Backuper.
func (s *Store) CheckBackup(ctx context.Context, file string) error {
	return CheckBackup(ctx, file, false)
}

// copyOwn copies a database of this program to an empty file. The version of its schema does not matter: before an
// upgrade a backup may be made with the new program.
func copyOwn(ctx context.Context, path, target string) error {
	return readOwn(ctx, path, func(file *Snapshot, _ relational.Schema) error { return file.copyTo(ctx, target) })
}

// readOwn calls read with a database of this program.
func readOwn(ctx context.Context, path string, read func(*Snapshot, relational.Schema) error) (err error) {
	file, err := OpenSnapshot(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	schema, err := file.inspect(ctx)
	if err == nil && schema.Version == 0 {
		err = fmt.Errorf("%w: it is empty", store.ErrForeign)
	}
	if err != nil {
		return err
	}
	return read(file, schema)
}

// Restored is what a restore has done.
type Restored struct {
	// Replaced is the new name of the database that was there, empty if there was none.
	Replaced string
	// Schema is the version of the backup's schema, and Migrated that of the restored database, which is the newest.
	Schema, Migrated int64
}

// Restore replaces the database at path, which no service may have open, by a copy of a backup. The schema of the copy
// is brought up to date before it replaces the database. A damaged backup, or one with a schema of a later version than
// this program's, is refused before anything changes, and so is a file at path that is not a database of this program.
// The database keeps its owner and its permissions, also if root restores it.
func Restore(ctx context.Context, backup, path string) (done Restored, err error) {
	if done.Schema, done.Migrated, err = checkBackup(ctx, backup, true); err != nil {
		return Restored{}, fmt.Errorf("backup %s: %w", backup, err)
	}
	resolved, err := resolve(path)
	if err == nil {
		err = checkReplaceable(ctx, resolved)
	}
	if err != nil {
		return Restored{}, fmt.Errorf("restoring %s: %w", path, err)
	}
	lock, err := lockFile(ctx, resolved)
	if err != nil {
		return Restored{}, classify(err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if sameFile(backup, resolved) {
		return Restored{}, fmt.Errorf("backup %s: expected another file than the database itself", backup)
	}
	done.Replaced, err = replace(ctx, lock, backup, resolved)
	if err != nil {
		return done, fmt.Errorf("restoring %s from %s: %w", path, backup, classify(err))
	}
	return done, nil
}

// checkReplaceable returns an error if a file must not be replaced: it is not a database of this program. A database
// that cannot be read counts as one if a lock is beside it, since a damaged one is what a backup is for.
func checkReplaceable(ctx context.Context, path string) error {
	err := checkOwn(ctx, path)
	if err == nil || errors.Is(err, store.ErrNewerSchema) {
		return nil
	}
	if _, lockErr := os.Lstat(path + lockSuffix); lockErr == nil && !errors.Is(err, store.ErrForeign) {
		return nil
	}
	return fmt.Errorf("%w: a file is there; expected a database of this program or none, so move the file away first",
		err)
}

// replace replaces a database that is locked.
func replace(ctx context.Context, lock *fileLock, backup, path string) (replaced string, err error) {
	database, err := os.Stat(path)
	if err == nil {
		if err := lock.lockInode(path); err != nil {
			return "", err
		}
		restrict(path) // it is set aside
	} else if database = nil; !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("finding the database: %w", err)
	}
	part, remove, err := createPart(path, database)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := copyOwn(ctx, backup, part); err != nil {
		return "", err
	}
	if err := migratePart(ctx, part); err != nil {
		return "", err
	}
	if replaced, err = setAside(ctx, path); err != nil {
		return "", err
	}
	return replaced, publishPart(part, path)
}

// migratePart brings the schema of a copy up to date. The service would do it at its start, too; but if it could not,
// the database that the copy replaces would be gone by then.
func migratePart(ctx context.Context, part string) (err error) {
	db, err := openPool(dataSource(part, writing))
	if err != nil {
		return fmt.Errorf("opening the copy: %w", err)
	}
	db.SetMaxOpenConns(1)
	// The last connection moves the write-ahead log to the database and removes it.
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := relational.Migrate(ctx, goose.DialectSQLite3, db, migrations); err != nil {
		return err
	}
	// A removal that was announced when the backup was made would begin at once, and may be why it is restored.
	if _, err := db.ExecContext(ctx, "DELETE FROM removals"); err != nil {
		return fmt.Errorf("forgetting announced removals: %w", classify(err))
	}
	return nil
}

// checkBackup reads the whole file, or the beginning: SQLite refuses a file with fewer pages than its header says. It
// returns the version of its schema, and the newest.
func checkBackup(ctx context.Context, backup string, readAll bool) (version, newest int64, err error) {
	newest, err = relational.NewestSchema(migrations)
	if err != nil {
		return 0, 0, err
	}
	err = readOwn(ctx, backup, func(file *Snapshot, schema relational.Schema) error {
		version = schema.Version
		switch {
		case version > newest:
			return relational.NewerSchema(version, newest)
		case readAll:
			return checkIntact(ctx)(file, schema)
		}
		return nil
	})
	return version, newest, err
}

// checkIntact returns a function for readOwn that reads all of a database.
func checkIntact(ctx context.Context) func(*Snapshot, relational.Schema) error {
	return func(file *Snapshot, _ relational.Schema) error {
		var result string
		if err := file.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
			return fmt.Errorf("checking it: %w", err)
		}
		if result != "ok" {
			return fmt.Errorf("it is damaged: %s", result)
		}
		return nil
	}
}

// sameFile reports whether both files exist and are one.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	second, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(first, second)
}

// setAside renames a database and its write-ahead log, which SQLite would otherwise apply to the restored database.
func setAside(ctx context.Context, path string) (name string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	checkpoint(ctx, path)
	name = path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	// A hard link, so that there is a database at every moment: a service that finds none creates an empty one. Not
	// every file system has links.
	if os.Link(path, name) != nil {
		switch err := os.Rename(path, name); {
		case errors.Is(err, syscall.EBUSY):
			return "", fmt.Errorf("setting the database aside: the file is mounted alone, expected a mount of its directory: %w",
				err)
		case err != nil:
			return "", fmt.Errorf("setting the database aside: %w", err)
		}
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := os.Rename(path+suffix, name+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("setting the database aside: %w", err)
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("removing the index of the old write-ahead log: %w", err)
	}
	return name, nil
}

// checkpoint moves what a killed service left in the write-ahead log to the database, so that it is one file. It fails
// for a damaged database; then the log is set aside with it.
func checkpoint(ctx context.Context, path string) {
	db, err := sql.Open("sqlite", dataSource(path, writing))
	if err != nil {
		return
	}
	_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	_ = db.Close()
}

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
