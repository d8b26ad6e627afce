package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

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
