package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rosey.dev/rosey/runtime/store/relational"
)

// Backup copies a snapshot of the database at path to a new file, while a service may write to it. It returns the size
// of the copy in bytes. The file gets its name when it is complete. An existing file is not replaced. The copy is for
// the owner of the database alone, also if root makes it.
func Backup(ctx context.Context, path, backup string) (size int64, err error) {
	if _, err := os.Lstat(backup); err == nil {
		return 0, fmt.Errorf("backup file %s: it exists, expected a new name", backup)
	} else if !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	// The version does not matter: before an upgrade the backup may be made with the new program.
	if _, err := schemaVersion(ctx, path); err != nil {
		return 0, fmt.Errorf("backing up database %s: %w", path, err)
	}
	database, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("backing up database %s: %w", path, err)
	}
	part, err := createPart(backup, database)
	if err != nil {
		return 0, fmt.Errorf("backing up to %s: %w", backup, err)
	}
	defer func() { err = errors.Join(err, removePart(part)) }()
	if err := copyDatabase(ctx, path, part); err != nil {
		return 0, fmt.Errorf("backing up database %s to %s: %w", path, backup, classify(err))
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

// Restore replaces the database at path, which no service may have open, by a copy of a backup. It returns the new name
// of the database that was there, empty if there was none. A damaged backup, or one with a schema of another version
// than this program's, is refused before anything changes. The database keeps its owner, also if root restores it.
func Restore(ctx context.Context, backup, path string) (replaced string, err error) {
	if err := checkBackup(ctx, backup); err != nil {
		return "", fmt.Errorf("backup %s: %w", backup, err)
	}
	lock, err := lockFile(path)
	if err != nil {
		return "", classify(err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if sameFile(backup, path) {
		return "", fmt.Errorf("backup %s: expected another file than the database itself", backup)
	}
	restrict(path)               // the database that is set aside
	database, _ := os.Stat(path) // nil if it is absent
	part, err := createPart(path, database)
	if err != nil {
		return "", fmt.Errorf("restoring %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, removePart(part)) }()
	if err := copyDatabase(ctx, backup, part); err != nil {
		return "", fmt.Errorf("restoring %s from %s: %w", path, backup, classify(err))
	}
	if replaced, err = setAside(ctx, path); err != nil {
		return "", fmt.Errorf("restoring %s: %w", path, err)
	}
	if err := publishPart(part, path); err != nil {
		return replaced, fmt.Errorf("restoring %s: %w", path, err)
	}
	return replaced, nil
}

// checkBackup reads the whole file, so that a damaged backup does not replace an intact database.
func checkBackup(ctx context.Context, backup string) error {
	version, err := schemaVersion(ctx, backup)
	if err != nil {
		return err
	}
	known, err := relational.NewestSchema(migrations)
	if err != nil {
		return err
	}
	switch {
	case version > known:
		return relational.NewerSchema(version, known)
	case version < known:
		return fmt.Errorf("its schema has version %d, expected %d: restore it with the program that made it, "+
			"then start this one, which brings it up to date", version, known)
	}
	db, err := sql.Open("sqlite", dataSource(backup, reading))
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	defer func() { _ = db.Close() }() // nothing was written
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("checking it: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("it is damaged: %s", result)
	}
	return nil
}

// schemaVersion returns the schema's version. A file that is not a database of this program is an error.
func schemaVersion(ctx context.Context, path string) (version int64, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, fmt.Errorf("finding it: %w", err)
	}
	db, err := sql.Open("sqlite", dataSource(path, reading))
	if err != nil {
		return 0, fmt.Errorf("opening it: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Other programs use goose, too, but have no table store.
	const query = `SELECT coalesce(max(version_id), 0) FROM goose_db_version, store WHERE is_applied`
	if err := db.QueryRowContext(ctx, query).Scan(&version); err != nil {
		return 0, fmt.Errorf("it is not a database of rosey: %w", err)
	}
	return version, nil
}

// copyDatabase copies a database to an empty file.
func copyDatabase(ctx context.Context, from, to string) (err error) {
	db, err := sql.Open("sqlite", dataSource(from, reading))
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// One transaction that reads: it does not block writers, and leaves out free pages.
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
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
		if err := os.Rename(path, name); err != nil {
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

// createPart creates an empty file beside its target, with the permissions of a database file. It belongs to the owner
// of the database, if root runs this; of no database: to the owner of the directory.
func createPart(target string, database fs.FileInfo) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+".part-*")
	if err != nil {
		return "", fmt.Errorf("creating a file beside it: %w", err)
	}
	if err := errors.Join(setPermissions(file, database), file.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("creating a file beside it: %w", err), removePart(file.Name()))
	}
	return file.Name(), nil
}

// removePart removes a part that was not published.
func removePart(part string) error {
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the incomplete copy: %w", err)
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
