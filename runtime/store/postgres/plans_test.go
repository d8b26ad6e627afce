package postgres

import (
	"testing"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/storetest"
)

func TestPagesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	s := mustOpen(t, pgtest.WriteURL(t, server.Database(t)))
	storetest.Plans(t, s.db, func(db relational.Database, statement string, arguments []any) ([]string, error) {
		return relational.Select(t.Context(), db, "EXPLAIN "+statement, arguments, func(line *string) []any {
			return []any{line}
		})
	})
}

func TestMigrationFillsHours(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	s := mustOpen(t, pgtest.WriteURL(t, server.Database(t)))
	migration, err := migrations.ReadFile("migrations/00010_media.sql")
	if err != nil {
		t.Fatal(err)
	}
	storetest.FillsHours(t, s, s.db, string(migration))
}
