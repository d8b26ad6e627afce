package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"rosey.dev/rosey/runtime/store/relational"
)

// Restore puts a copy of a backup in the place of the database at path, while no service has that
// open. What was there keeps its rows under another name, which is returned; empty when nothing was.
// A backup of another version than this program's, or a damaged one, is refused before anything changes.
func Restore(ctx context.Context, backup, path string) (kept string, err error) {
	if err := checkBackup(ctx, backup); err != nil {
		return "", fmt.Errorf("backup %s: %w", backup, err)
	}
	lock, err := lockFile(path)
	if err != nil {
		return "", classify(err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if same, err := sameFile(backup, path); err != nil || same {
		return "", errors.Join(fmt.Errorf("backup %s: expected another file than the database itself", backup), err)
	}
	part, err := newPart(path)
	if err != nil {
		return "", fmt.Errorf("restoring %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, removePart(part)) }()
	if err := copyDatabase(ctx, backup, part); err != nil {
		return "", fmt.Errorf("restoring %s from %s: %w", path, backup, classify(err))
	}
	if kept, err = setAside(ctx, path); err != nil {
		return "", fmt.Errorf("restoring %s: %w", path, err)
	}
	if err := putInPlace(part, path); err != nil {
		return kept, fmt.Errorf("restoring %s: %w", path, err)
	}
	return kept, nil
}

// checkBackup reads all of it: a damaged copy must not take the place of a good database.
func checkBackup(ctx context.Context, backup string) error {
	version, err := schemaVersion(ctx, backup)
	if err != nil {
		return err
	}
	known, err := relational.NewestSchema(migrations())
	if err != nil {
		return err
	}
	switch {
	case version > known:
		return &relational.NewerSchemaError{Database: version, Program: known}
	case version < known:
		return fmt.Errorf("its schema has version %d, expected %d: restore it with the program that made it, "+
			"then start this one, which brings it up to date", version, known)
	}
	db, err := sql.Open("sqlite", dataSource(backup, reading))
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	defer func() { _ = db.Close() }() // it was only read
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("checking it: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("it is damaged: %s", verdict)
	}
	return nil
}

func sameFile(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, fmt.Errorf("finding %s: %w", a, err)
	}
	second, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding %s: %w", b, err)
	}
	return os.SameFile(first, second), nil
}

// setAside gives a database another name, with what belongs to it. Its write-ahead log must not stay:
// SQLite would look into it for the database that comes in its place.
func setAside(ctx context.Context, path string) (kept string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	foldLog(ctx, path)
	kept = path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	// A second name, so that there is a database at every moment: a service that finds none makes an
	// empty one. Not every file system has them.
	if os.Link(path, kept) != nil {
		if err := os.Rename(path, kept); err != nil {
			return "", fmt.Errorf("setting aside what is there: %w", err)
		}
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := os.Rename(path+suffix, kept+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("setting aside what is there: %w", err)
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("removing the index of the old write-ahead log: %w", err)
	}
	return kept, nil
}

// foldLog moves what a killed service left in the write-ahead log into the database, so that it is one
// file. Of a damaged database this fails, and then the log is set aside with it.
func foldLog(ctx context.Context, path string) {
	db, err := sql.Open("sqlite", dataSource(path, writing))
	if err != nil {
		return
	}
	_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	_ = db.Close()
}
