package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup copies the database at path to a new file, as of one moment, while a service may go on
// writing. It returns the copy's size in bytes. The file appears under its name when it is complete;
// one that is there already is not replaced.
func Backup(ctx context.Context, path, backup string) (size int64, err error) {
	if _, err := os.Lstat(backup); !errors.Is(err, os.ErrNotExist) {
		return 0, errors.Join(fmt.Errorf("backup file %s: it exists, expected a new name", backup), err)
	}
	// A copy is of use whatever the version: before an upgrade it is made with the new program.
	if _, err := schemaVersion(ctx, path); err != nil {
		return 0, fmt.Errorf("backing up database %s: %w", path, err)
	}
	part, err := newPart(backup)
	if err != nil {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	defer func() { err = errors.Join(err, removePart(part)) }()
	if err := copyDatabase(ctx, path, part); err != nil {
		return 0, fmt.Errorf("backing up database %s to %s: %w", path, backup, classify(err))
	}
	if err := putInPlace(part, backup); err != nil {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	info, err := os.Stat(backup)
	if err != nil {
		return 0, fmt.Errorf("measuring backup %s: %w", backup, err)
	}
	return info.Size(), nil
}

// copyDatabase writes a database into a file that is empty.
func copyDatabase(ctx context.Context, from, to string) (err error) {
	db, err := sql.Open("sqlite", dataSource(from, reading))
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// One read transaction: it stops no writer, and leaves free pages behind.
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}

// schemaVersion is that of one of our databases. Any other file is an error.
func schemaVersion(ctx context.Context, path string) (version int64, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, fmt.Errorf("finding it: %w", err)
	}
	db, err := sql.Open("sqlite", dataSource(path, reading))
	if err != nil {
		return 0, fmt.Errorf("opening it: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The table store is what no other program's database has beside goose's.
	const query = `SELECT coalesce(max(version_id), 0) FROM goose_db_version, store WHERE is_applied`
	if err := db.QueryRowContext(ctx, query).Scan(&version); err != nil {
		return 0, fmt.Errorf("it is not a database of rosey: %w", err)
	}
	return version, nil
}

// newPart makes an empty file beside the one it will become, which only its owner can read.
func newPart(target string) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+".part-*")
	if err != nil {
		return "", fmt.Errorf("making a file beside it: %w", err)
	}
	if err := file.Close(); err != nil {
		return "", fmt.Errorf("making a file beside it: %w", err)
	}
	return file.Name(), nil
}

// removePart removes what was not put in place.
func removePart(part string) error {
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the unfinished copy: %w", err)
	}
	return nil
}

// putInPlace gives a complete file its name, so that it is complete after a power failure too.
func putInPlace(part, target string) error {
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, target); err != nil {
		return fmt.Errorf("giving the copy its name: %w", err)
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
