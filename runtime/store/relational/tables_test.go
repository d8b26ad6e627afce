package relational_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store/relational"
)

// Move would not copy a column that is missing in the list of tables, and a missing table would neither be analyzed nor
// counted.
func TestTablesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		place func(*testing.T) place
		query string
	}{
		// The table store was replaced by identity.
		"SQLite": {sqlitePlace, `SELECT tables.name || '.' || columns.name
FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND tables.name NOT IN ('store', 'sqlite_sequence', 'sqlite_stat1', 'goose_db_version')`},
		"PostgreSQL": {postgresPlace, `SELECT table_name || '.' || column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name <> 'goose_db_version'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := test.place(t).write(t)
			found, err := s.QueryStrings(t.Context(), test.query)
			if err != nil {
				t.Fatal(err)
			}
			var tables, columns []string
			for _, column := range found {
				table, _, _ := strings.Cut(column, ".")
				if !slices.Contains(tables, table) {
					tables = append(tables, table)
				}
				// Move has code of its own for these. It leaves out removals: the target announces its own.
				if !slices.Contains([]string{"identity", "channels", "kv_usage", "removals"}, table) {
					columns = append(columns, column)
				}
			}
			if diff := cmp.Diff(sorted(tables), sorted(relational.TableNames())); diff != "" {
				t.Errorf("tables (-schema +list):\n%s", diff)
			}
			if diff := cmp.Diff(sorted(columns), sorted(relational.Columns())); diff != "" {
				t.Errorf("columns (-schema +list):\n%s", diff)
			}
		})
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
