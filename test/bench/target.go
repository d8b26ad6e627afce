package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to read what a service has stored
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// target is a new database with the program's schema.
type target struct {
	arguments []string // of a service that uses it
	db        *sql.DB  // a separate connection; nil: nobody reads the rows
	// insert inserts lines in one transaction.
	insert func(ctx context.Context, db *sql.DB, lines []line) error
	// readNewest is prepared by newest.
	readNewest *sql.Stmt
}

// Flags of the program that name a database.
const sqliteFlag, postgresFlag = "database", "database-postgres-url-file"

// maker creates a new database for each measurement.
type maker struct {
	name string
	make func(ctx context.Context) (*target, error)
}

// makers returns a maker for each kind of database that is available. All cases share one PostgreSQL server.
func (b *bench) makers(ctx context.Context) (all []maker, err error) {
	all = []maker{{"SQLite", b.newSQLite}}
	if _, err := pgtest.Programs(); err != nil {
		b.say("without PostgreSQL: %v", err)
		return all, nil
	}
	if b.postgres == nil {
		// The server's default durability.
		b.postgres, err = pgtest.Start(ctx, "fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_wal_size=1GB")
		if err != nil {
			return nil, err
		}
	}
	return append(all, maker{"PostgreSQL", b.newPostgres}), nil
}

func (b *bench) newSQLite(ctx context.Context) (*target, error) {
	path := b.newDatabase()
	opened, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := opened.Close(); err != nil {
		return nil, err
	}
	db, err := openSQLite(path)
	if err != nil {
		return nil, err
	}
	return &target{arguments: []string{"--" + sqliteFlag, path}, db: db, insert: insertSQLite}, nil
}

// openSQLite opens a database with one connection and the settings of package sqlite.
func openSQLite(path string) (*sql.DB, error) {
	settings := url.Values{
		"_pragma": {"busy_timeout(5000)", "foreign_keys(1)", "journal_mode(WAL)", "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", "file:"+path+"?"+settings.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func (b *bench) newPostgres(ctx context.Context) (*target, error) {
	const role = "postgres"
	b.files++
	name := fmt.Sprintf("bench_%d", b.files)
	admin, err := sql.Open("pgx", b.postgres.URL(role, pgtest.Password, "postgres"))
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	_, err = admin.ExecContext(ctx, "CREATE DATABASE "+name)
	if err := errors.Join(err, admin.Close()); err != nil {
		return nil, fmt.Errorf("creating a database: %w", err)
	}
	file, err := b.file(b.postgres.URL(role, pgtest.Password, name))
	if err != nil {
		return nil, err
	}
	opened, err := postgres.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := opened.Close(); err != nil {
		return nil, err
	}
	db, err := openPostgres(file)
	if err != nil {
		return nil, err
	}
	return &target{arguments: []string{"--" + postgresFlag, file}, db: db, insert: insertPostgres}, nil
}

// openPostgres opens the database whose URL is in a file.
func openPostgres(file string) (*sql.DB, error) {
	where, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a URL: %w", err)
	}
	db, err := sql.Open("pgx", string(where))
	if err != nil {
		return nil, fmt.Errorf("opening a database: %w", err)
	}
	return db, nil
}

func (t *target) close() error {
	if t.db == nil {
		return nil
	}
	if err := t.db.Close(); err != nil {
		return fmt.Errorf("closing a database: %w", err)
	}
	return nil
}

// last returns the greatest ID of a line, or "" if there is none.
func (t *target) last(ctx context.Context) (id string, err error) {
	if err := t.db.QueryRowContext(ctx, "SELECT coalesce(max(event_id), '') FROM chat").Scan(&id); err != nil {
		return "", fmt.Errorf("reading the last line: %w", err)
	}
	return id, nil
}

// newest returns the text of the newest line, or "" if there is none.
func (t *target) newest(ctx context.Context) (text string, err error) {
	if t.readNewest == nil {
		t.readNewest, err = t.db.PrepareContext(ctx, "SELECT text FROM chat ORDER BY event_id DESC LIMIT 1")
	}
	if err == nil {
		err = t.readNewest.QueryRowContext(ctx).Scan(&text)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading the newest line: %w", err)
	}
	return text, nil
}

func (t *target) count(ctx context.Context) (lines int, err error) {
	if err := t.db.QueryRowContext(ctx, "SELECT count(*) FROM chat").Scan(&lines); err != nil {
		return 0, fmt.Errorf("counting lines: %w", err)
	}
	return lines, nil
}

// site is the CyTube server in the lines' channel.
const site = "https://cytu.be"

var channel = store.Channel{Server: site, Name: channelName}
