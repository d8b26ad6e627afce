package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store/relational"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the files by their names.
func migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is a constant that the compiler has seen
	}
	return files
}

// migrationLock is the key of the advisory lock that one service at a time holds while it looks at the
// schema. It is a number that nobody else is likely to choose, the same in all versions.
const migrationLock = 0x726f736579 // "rosey"

// closing bounds saying goodbye to the server.
const closing = 5 * time.Second

// migrate brings the schema up to date while no other service does.
func migrate(ctx context.Context, urlFile string) (err error) {
	connConfig, err := (&connector{urlFile: urlFile}).connConfig()
	if err != nil {
		return err
	}
	holder, err := pgx.ConnectConfig(ctx, connConfig)
	if err != nil {
		return classify(err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		_ = holder.Close(ending) // what it held, the server lets go of
	}()
	// A lock of a transaction: one of a session would stay behind in a pooler between us and the server.
	lock, err := holder.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("waiting for the lock of the schema: %w", classify(err))
	}
	db := stdlib.OpenDB(*connConfig)
	defer func() { err = errors.Join(err, closeDB(db)) }()
	return classify(relational.Migrate(ctx, goose.DialectPostgres, db, migrations()))
}

func closeDB(db *sql.DB) error {
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the connection of the migrations: %w", err)
	}
	return nil
}
