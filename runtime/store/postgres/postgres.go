package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

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
	c := &connector{urlFile: urlFile, readOnly: readOnly}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	pool, err := c.pool(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{db: &database{tx: tx{pool}, pool: pool, connector: c, timeout: transactionTimeout}}
	s.Owners = relational.NewOwners(s.db)
	server := pool.Config().ConnConfig
	if s.Store = relational.New(relational.Traced(s.db, semconv.DBSystemNamePostgreSQL,
		semconv.DBNamespace(server.Database), semconv.ServerAddress(server.Host), semconv.ServerPort(int(server.Port)),
	)); readOnly {
		s.Store = relational.NewReadOnly(s.db)
	}
	if err := c.fixIdentity(ctx, s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close implements store.Store. It does not wait long for a server that hangs.
func (s *Store) Close() error {
	s.db.connector.endSoon()
	s.db.pool.Close()
	return nil
}

// Check implements store.Store. A server that is gone is noticed by the next statement.
func (s *Store) Check(context.Context) error { return nil }

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
