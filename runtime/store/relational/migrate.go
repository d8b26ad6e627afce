package relational

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
)

// NewerSchemaError says that a later version of the program has changed the database.
type NewerSchemaError struct{ Database, Program int64 }

// Is makes it a store.ErrNewerSchema.
func (e *NewerSchemaError) Is(target error) bool { return target == store.ErrNewerSchema }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema has version %d, and this program knows only version %d: run a newer version",
		e.Database, e.Program)
}

// Migrate brings the schema up to date. Each migration is a transaction of its own. Only one process may
// do it at a time.
func Migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrations fs.FS) error {
	provider, err := goose.NewProvider(dialect, db, migrations, goose.WithDisableGlobalRegistry(true))
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

// CheckSchema is for a database that must not be changed: its schema has to be the one of migrations.
func CheckSchema(ctx context.Context, db Executor, migrations fs.FS) error {
	known, err := NewestSchema(migrations)
	if err != nil {
		return err
	}
	const query = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"
	current, _, err := selectOne(ctx, db, query, nil, itself[int64])
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

// NewestSchema is the version of the schema that migrations lead to.
func NewestSchema(migrations fs.FS) (int64, error) {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return int64(len(files)), nil
}
