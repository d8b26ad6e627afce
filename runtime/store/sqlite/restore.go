package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

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
