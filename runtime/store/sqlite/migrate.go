package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// NewerSchemaError says that a later version of the program has changed the database.
type NewerSchemaError struct{ Database, Program int64 }

// Is makes it a store.ErrNewerSchema.
func (e *NewerSchemaError) Is(target error) bool { return target == store.ErrNewerSchema }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema has version %d, and this program knows only version %d: run a newer version",
		e.Database, e.Program)
}

// migrate brings the schema up to date. Each migration is a transaction of its own.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > known {
		return &NewerSchemaError{Database: current, Program: known}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("%w: %w", store.ErrMigration, err)
	}
	return nil
}

// checkSchema is for a database that must not be changed: its schema has to be the one we know.
func checkSchema(ctx context.Context, db *sql.DB) error {
	known, err := newestSchema()
	if err != nil {
		return err
	}
	var current int64
	err = db.QueryRowContext(ctx,
		"SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&current)
	switch {
	case err != nil:
		return fmt.Errorf("reading the schema's version: %w", err)
	case current > known:
		return &NewerSchemaError{Database: current, Program: known}
	case current < known:
		return fmt.Errorf("its schema has version %d, this program needs %d: start the service once", current, known)
	}
	return nil
}

// newestSchema is the version of the schema that this program works with.
func newestSchema() (int64, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return int64(len(files)), nil
}
