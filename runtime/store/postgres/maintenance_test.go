package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

const ownTables = ` FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND relname <> 'goose_db_version'`

func TestOptimizeAnalyzesAllTables(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	watching := store.Event{ID: "a", Channel: movies, At: clock(2), Fact: store.Status{WatchingSince: new(clock(1))}}
	if err := s.Apply(t.Context(), []store.Event{watching}); err != nil {
		t.Fatal(err)
	}
	if err := s.Optimize(t.Context()); err != nil {
		t.Fatal(err)
	}
	var never []string
	conn := rawConn(t, server, name(t, database))
	const query = `SELECT coalesce(array_agg(relname::text), '{}')` + ownTables + ` AND reltuples < 0`
	if err := conn.QueryRow(t.Context(), query).Scan(&never); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{}, never); diff != "" {
		t.Errorf("tables that were never analyzed: %s", diff)
	}
}

func TestSizeCountsAllTables(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	var want int64
	conn := rawConn(t, server, name(t, database))
	const query = `SELECT sum(pg_total_relation_size(oid))::bigint` + ownTables
	if err := conn.QueryRow(t.Context(), query).Scan(&want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Size(t.Context()); err != nil || got != want {
		t.Errorf("size %d, %v, want %d", got, err, want)
	}
}
