package relational

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
)

// NewerSchema returns the error for a schema of a later version than this program knows.
func NewerSchema(database, program int64) error {
	return fmt.Errorf("%w: its schema has version %d, and this program knows only version %d: run a newer version",
		store.ErrNewerSchema, database, program)
}

// Migrate brings the schema up to date with the files in the directory "migrations". Each migration is a transaction.
// Only one process may do it at a time.
func Migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrations fs.FS) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > known {
		return NewerSchema(current, known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("%w: %w", store.ErrMigration, err)
	}
	return nil
}

// CheckVersion returns an error unless the schema of a database that must not be changed is up to date.
func CheckVersion(schema Schema, migrations fs.FS) error {
	known, err := NewestSchema(migrations)
	switch {
	case err != nil:
		return err
	case schema.Version > known:
		return NewerSchema(schema.Version, known)
	case schema.Version == 0:
		return fmt.Errorf("it is empty: start the service once, which creates the tables of schema version %d", known)
	case schema.Version < known:
		return fmt.Errorf("its schema has version %d, this program needs %d: start the service once",
			schema.Version, known)
	}
	return nil
}

// NewestSchema returns the version of the schema after all migrations: they are numbered from 1 without a gap.
func NewestSchema(migrations fs.FS) (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return int64(len(files)), nil
}
