package relational

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// versionTable is the table of the migrations. Other programs use goose, too, so it identifies nobody.
const versionTable = "goose_db_version"

// Schema is what a database contains before this program has written to it.
type Schema struct {
	// Version is that of this program's tables, 0 if there are none.
	Version int64

	tables []string // in order
}

// Inspect reads the schema of a database. columns is a query for the names of all tables and columns. The error is
// store.ErrForeign if the tables are not those of this program: they must stay as they are.
func Inspect(ctx context.Context, db Executor, columns string) (Schema, error) {
	type column struct{ table, name string }
	found, err := Select(ctx, db, columns, nil, func(row *column) []any { return []any{&row.table, &row.name} })
	if err != nil {
		return Schema{}, fmt.Errorf("reading the tables: %w", err)
	}
	var s Schema
	has := map[column]bool{}
	for _, one := range found {
		has[one] = true
		s.tables = append(s.tables, one.table)
	}
	slices.Sort(s.tables)
	if s.tables = slices.Compact(s.tables); len(s.tables) == 0 {
		return s, nil
	}
	own := has[column{"channels", "server_key"}] && has[column{"channels", "name_key"}] &&
		(has[column{"identity", "id"}] || has[column{"store", "uuid"}])
	migrated := has[column{versionTable, "version_id"}] && has[column{versionTable, "is_applied"}]
	// The first start creates the table of the migrations before all others, and may have been interrupted.
	if begun := len(s.tables) == 1; !migrated || !own && !begun {
		return s, s.foreign()
	}
	return s.readVersion(ctx, db, own)
}

// readVersion returns the schema with its version, of which there is one if the tables are those of this program.
func (s Schema) readVersion(ctx context.Context, db Executor, own bool) (_ Schema, err error) {
	const query = "SELECT coalesce(max(version_id), 0) FROM " + versionTable + " WHERE is_applied"
	if s.Version, _, err = selectOne(ctx, db, query, nil, scanValue[int64]); err != nil {
		return s, fmt.Errorf("reading the schema's version: %w", err)
	}
	if own != (s.Version > 0) {
		return s, s.foreign()
	}
	return s, nil
}

// importable are the programs whose database package legacy imports, with two tables that only theirs have.
var importable = []struct {
	program string
	tables  [2]string
}{
	{"Python Rosey", [2]string{"user_stats", "recent_chat"}},
	{"CytubeBot", [2]string{"video_stats", "user_count"}},
}

// foreign returns the error for the tables of another program, and names them.
func (s Schema) foreign() error {
	for _, other := range importable {
		if slices.Contains(s.tables, other.tables[0]) && slices.Contains(s.tables, other.tables[1]) {
			return fmt.Errorf("%w: it is that of a %s: expected another place for the database; `rosey import` "+
				"copies the rows", store.ErrForeign, other.program)
		}
	}
	const shown = 5
	names := make([]string, 0, shown)
	for _, name := range s.tables[:min(shown, len(s.tables))] {
		names = append(names, status.OneLine(name, 60))
	}
	list := strings.Join(names, ", ")
	if others := len(s.tables) - len(names); others > 0 {
		list += fmt.Sprintf(" and %d others", others)
	}
	return fmt.Errorf("%w: it has the tables %s, expected an empty database or that of this program",
		store.ErrForeign, list)
}
