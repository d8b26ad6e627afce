package postgres

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// createVersion creates the tables of an earlier version.
func createVersion(t *testing.T, databaseURL string, version int64) {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(stdlib.GetConnector(*config))
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

// TestAMigrationThatWaitsForATableStopsNobody has somebody read a table for long that a migration has to change, as a
// backup does. The service of the version before goes on meanwhile.
func TestAMigrationThatWaitsForATableStopsNobody(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	createVersion(t, database, 11)
	role, file := name(t, database), pgtest.WriteURL(t, database)
	backup, old := rawConn(t, server, role), rawConn(t, server, role)
	run(t, backup, "BEGIN; SELECT count(*) FROM kv; SELECT count(*) FROM media")
	run(t, old, "SET statement_timeout = '20s'; INSERT INTO channels (server_key, name_key, name) VALUES ('s', 'm', 'm')")
	migrate := func(do func(context.Context) error) <-chan error {
		done := make(chan error, 1)
		go func() { done <- do(t.Context()) }()
		waitUntil(t, rawConn(t, server, role),
			"SELECT count(*) > 0 FROM pg_locks WHERE relation = 'kv'::regclass AND NOT granted")
		return done
	}

	c := &connector{urlFile: file}
	tried := migrate(func(ctx context.Context) error {
		db, err := c.connectAlone(ctx)
		if err != nil {
			return err
		}
		return errors.Join(c.migrate(ctx, db), db.Close())
	})
	run(t, old, "SELECT * FROM kv")
	run(t, old, "INSERT INTO kv VALUES (1, 'p', 'k', '1', 0, 0, NULL)")
	run(t, old, "DELETE FROM media")
	if err := <-tried; !errors.Is(err, errInUse) || errors.Is(err, store.ErrMigration) {
		t.Errorf("a table is in use: %v", err)
	}

	opened := migrate(func(ctx context.Context) error {
		s, err := Open(ctx, file)
		if err != nil {
			return err
		}
		return s.Close()
	})
	run(t, backup, "ROLLBACK")
	if err := <-opened; err != nil {
		t.Errorf("the table is not in use any more: %v", err)
	}
	run(t, old, "SELECT revision FROM kv; SELECT found_at FROM media")
}
