package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a store.Importer with a PostgreSQL database, which several services can use.
type Store struct {
	relational.Store
	relational.Owners

	db *database
}

var (
	_ store.Importer      = (*Store)(nil)
	_ store.ChannelOwners = (*Store)(nil)
)

// Open connects to the database whose URL is in a file (see config.ReadSecret) and brings its schema up to date. The
// file is read again for every connection.
func Open(ctx context.Context, urlFile string) (*Store, error) {
	return open(ctx, urlFile, false)
}

// OpenReadOnly connects to a database for reading. Methods that write fail.
func OpenReadOnly(ctx context.Context, urlFile string) (*Store, error) {
	return open(ctx, urlFile, true)
}

func open(ctx context.Context, urlFile string, readOnly bool) (*Store, error) {
	opened, err := connect(ctx, urlFile, readOnly)
	if err != nil {
		return nil, fmt.Errorf("opening the database of URL file %s: %w", urlFile, classify(err))
	}
	return opened, nil
}

func connect(ctx context.Context, urlFile string, readOnly bool) (*Store, error) {
	if !readOnly {
		if err := migrate(ctx, urlFile); err != nil {
			return nil, err
		}
	}
	c := &connector{urlFile: urlFile, readOnly: readOnly}
	pool, err := c.pool(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{db: &database{tx: tx{pool}, pool: pool, connector: c, timeout: transactionTimeout}}
	s.Owners = relational.NewOwners(s.db)
	if s.Store = relational.New(s.db); readOnly {
		s.Store = relational.NewReadOnly(s.db)
		err = relational.CheckSchema(ctx, s.db, migrations)
	}
	if err == nil {
		err = c.fixIdentity(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.db.pool.Close()
	return nil
}

// Optimize implements store.Store. The server's autovacuum does the rest.
func (s *Store) Optimize(ctx context.Context) error {
	for _, table := range relational.TableNames() {
		if _, err := s.db.Exec(ctx, "ANALYZE "+table); err != nil {
			return fmt.Errorf("analyzing table %s: %w", table, err)
		}
	}
	return nil
}

// Size implements store.Store. It is the size of the tables and their indexes.
func (s *Store) Size(ctx context.Context) (int64, error) {
	const query = `SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint
FROM unnest($1::text[]) AS name`
	sizes, err := relational.Select(ctx, s.db, query, []any{relational.TableNames()}, func(size *int64) []any {
		return []any{size}
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the database: %w", err)
	}
	return sizes[0], nil // a sum is always one row
}

const (
	// migrationLock is the key of the advisory lock for the schema. It must be the same in all versions, and is a number
	// that no other program is likely to use.
	migrationLock = 0x726f736579 // "rosey"
	// closeTimeout limits how long closing a connection may take.
	closeTimeout = 5 * time.Second
)

// migrate brings the schema up to date while it holds the lock of the schema.
func migrate(ctx context.Context, urlFile string) error {
	connConfig, err := (&connector{urlFile: urlFile}).connConfig()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, connConfig)
	if err != nil {
		return classify(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx) // the server ends the transaction, and so releases the lock
	}()
	// The lock belongs to a transaction: one of a session would stay with the connection of a pooler.
	lock, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("waiting for the lock of the schema: %w", classify(err))
	}
	db := stdlib.OpenDB(*connConfig)
	defer func() { _ = db.Close() }() // every migration was committed
	return classify(relational.Migrate(ctx, goose.DialectPostgres, db, migrations))
}
