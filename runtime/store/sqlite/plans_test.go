package sqlite

import (
	"path/filepath"
	"testing"

	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/storetest"
)

func TestPagesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	storetest.Plans(t, s.db, func(db relational.Database, statement string, arguments []any) ([]string, error) {
		return relational.Select(t.Context(), db, "EXPLAIN QUERY PLAN "+statement, arguments, func(line *string) []any {
			var id, parent, unused int
			return []any{&id, &parent, &unused, line}
		})
	})
}

func TestMigrationFillsHours(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	migration, err := migrations.ReadFile("migrations/00014_media.sql")
	if err != nil {
		t.Fatal(err)
	}
	storetest.FillsHours(t, s, s.db, string(migration))
}
