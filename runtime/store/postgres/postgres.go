// Package postgres keeps a store.Store in a PostgreSQL database. Several services may use one database
// at once.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// Store is a store.Importer in a PostgreSQL database.
type Store struct {
	relational.Store

	db *database
}

var _ store.Importer = (*Store)(nil)

// Open connects to the database whose URL is in a file (see config.ReadSecret) and brings its schema up
// to date. The file is read again for every connection.
func Open(ctx context.Context, urlFile string) (*Store, error) {
	return open(ctx, urlFile, false)
}

// OpenReadOnly connects to the database to look at it. Methods that write fail.
func OpenReadOnly(ctx context.Context, urlFile string) (*Store, error) {
	return open(ctx, urlFile, true)
}

func open(ctx context.Context, urlFile string, readOnly bool) (*Store, error) {
	opened, err := tryOpen(ctx, urlFile, readOnly)
	if err != nil {
		return nil, fmt.Errorf("opening the database of URL file %s: %w", urlFile, classify(err))
	}
	return opened, nil
}

func tryOpen(ctx context.Context, urlFile string, readOnly bool) (*Store, error) {
	if !readOnly {
		if err := migrate(ctx, urlFile); err != nil {
			return nil, err
		}
	}
	guard := &connector{urlFile: urlFile, readOnly: readOnly}
	pool, err := guard.pool(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{db: &database{session: session{pool}, pool: pool, guard: guard}}
	if s.Store = relational.New(s.db); readOnly {
		s.Store = relational.NewReadOnly(s.db)
		err = relational.CheckSchema(ctx, s.db, migrations())
	}
	if err == nil {
		err = guard.only(ctx, s)
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

// tables are all of ours, in the order in which a row is there before those that refer to it.
var tables = []string{
	"identity", "channels", "users", "presence", "chat", "user_counts", "high_water", "status", "outbound",
	"user_actions", "kv", "dead_letters",
}

// Optimize implements store.Store. The server's autovacuum does the rest.
func (s *Store) Optimize(ctx context.Context) error {
	for _, table := range tables {
		if _, err := s.db.Exec(ctx, "ANALYZE "+table); err != nil {
			return fmt.Errorf("analyzing table %s: %w", table, err)
		}
	}
	return nil
}

// Size implements store.Store: our tables with their indexes.
func (s *Store) Size(ctx context.Context) (int64, error) {
	const query = `SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint
FROM unnest($1::text[]) AS name`
	sizes, err := relational.Select(ctx, s.db, query, []any{tables}, func(size *int64) []any { return []any{size} })
	if err != nil {
		return 0, fmt.Errorf("measuring the database: %w", err)
	}
	return sizes[0], nil // a sum is always one row
}
