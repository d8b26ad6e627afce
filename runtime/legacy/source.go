package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// Generation is the generation of the Python bot that wrote a file.
type Generation string

// The two generations that have databases. They differ in columns only; tables that both have mean the same.
const (
	Synchronous Generation = "sqlite3 (up to 0.5)"
	ORM         Generation = "SQLAlchemy (0.6 and later)"
)

// Source is the database of a Python Rosey, as of the moment when it was opened.
type Source struct {
	Path       string
	Generation Generation

	db *sqlite.Snapshot
	tx *sql.Tx
	// columns are the columns of each table.
	columns map[string][]string
}

// requiredColumns identify a database of the Python bot. All others may be absent: the bot added some to older files
// when it opened them.
var requiredColumns = map[string][]string{
	"user_stats": {
		"username", "first_seen", "last_seen", "total_chat_lines", "total_time_connected", "current_session_start",
	},
	"channel_stats":      {"max_users", "max_users_timestamp"},
	"user_count_history": {"timestamp", "chat_users", "connected_users"},
	"recent_chat":        {"id", "timestamp", "username", "message"},
	"outbound_messages":  {"id", "timestamp", "message", "sent"},
	"user_actions":       {"id", "timestamp", "username", "action_type", "details"},
}

// Open opens a database file for reading only. While the Source is open, the Python bot cannot write to the file.
func Open(ctx context.Context, path string) (*Source, error) {
	db, err := sqlite.OpenSnapshot(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s, expected the Python bot's SQLite file: %w", path, err)
	}
	s := &Source{Path: path, db: db, columns: map[string][]string{}}
	if err := s.readSchema(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback() // nothing was written
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", s.Path, err)
	}
	return nil
}

func (s *Source) readSchema(ctx context.Context) error {
	var err error
	if s.tx, err = s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	const query = `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("reading its schema: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below has the error
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return fmt.Errorf("reading its schema: %w", err)
		}
		s.columns[table] = append(s.columns[table], column)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading its schema: %w", err)
	}
	return s.recognize()
}

// recognize determines the generation, and returns an error for a file that is something else.
func (s *Source) recognize() error {
	if s.has("goose_db_version", "version_id") && s.has("store", "uuid") {
		return errors.New("it is a database of this program: use `rosey db restore`")
	}
	for _, table := range slices.Sorted(maps.Keys(requiredColumns)) { // so that the error is the same each time
		if len(s.columns[table]) == 0 {
			return fmt.Errorf("it is not the database of a Python Rosey: it has no table %s", table)
		}
		for _, column := range requiredColumns[table] {
			if !s.has(table, column) {
				return fmt.Errorf("it is not the database of a Python Rosey: table %s has no column %s", table, column)
			}
		}
	}
	s.Generation = Synchronous
	if s.has("outbound_messages", "error_message") || s.has("plugin_kv_storage", "key") {
		s.Generation = ORM
	}
	return nil
}

func (s *Source) has(table, column string) bool { return slices.Contains(s.columns[table], column) }

// count returns the number of rows of a table.
func (s *Source) count(ctx context.Context, table string) (rows int, err error) {
	if err := s.tx.QueryRowContext(ctx, `SELECT count(*) FROM `+quote(table)).Scan(&rows); err != nil {
		return 0, fmt.Errorf("%s, table %s: counting rows: %w", s.Path, table, err)
	}
	return rows, nil
}

// each calls do for all rows of a table. A column that the file does not have is NULL.
func (s *Source) each(ctx context.Context, table, order string, columns []string, do func(row) error) error {
	fail := func(err error) error { return fmt.Errorf("%s, table %s: %w", s.Path, table, err) }
	selected := make([]string, len(columns))
	for i, column := range columns {
		selected[i] = "NULL"
		if s.has(table, column) {
			selected[i] = quote(column)
		}
	}
	//nolint:gosec // names are quoted, and SQL has no parameters for them
	query := fmt.Sprintf(`SELECT %s FROM %s ORDER BY %s`, strings.Join(selected, ", "), quote(table), order)
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }() // Err below has the error
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return fail(err)
		}
		if err := do(row{columns, values}); err != nil {
			return fail(err)
		}
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// row is a row whose columns can have values of any type: SQLite does not enforce the type of a column.
type row struct {
	columns []string
	values  []any
}

func (r row) value(column string) any { return r.values[slices.Index(r.columns, column)] }

// text returns the text in a column, empty if there is none.
func (r row) text(column string) string {
	switch value := r.value(column).(type) {
	case string:
		return store.CleanText(value)
	case []byte:
		return store.CleanText(string(value))
	default:
		return ""
	}
}

// number returns the number in a column. It returns false for NULL and for anything that is no number.
func (r row) number(column string) (int64, bool) {
	switch value := r.value(column).(type) {
	case int64:
		return value, true
	case bool:
		if value {
			return 1, true
		}
		return 0, true
	case float64:
		if math.Abs(value) < 1<<53 {
			return int64(value), true
		}
	}
	return 0, false
}

// count returns a number that cannot be negative, 0 for NULL. It returns false for anything else.
func (r row) count(column string) (int, bool) {
	if r.value(column) == nil {
		return 0, true
	}
	value, ok := r.number(column)
	return int(value), ok && value >= 0 && value < math.MaxInt32*1000
}

// maxClockSkew is how far in the future times may be. A row of a clock that was wrong once would otherwise remain the
// newest for ever.
const maxClockSkew = time.Hour

// time returns the time in a column: Unix seconds, or a date and time in UTC as SQLAlchemy writes them. It returns
// false for NULL and for anything that is no time.
func (r row) time(column string) (time.Time, bool) {
	var at time.Time
	switch value := r.value(column).(type) {
	case time.Time:
		at = value
	case string:
		for _, layout := range []string{"2006-01-02 15:04:05.999999", time.RFC3339Nano} {
			if parsed, err := time.Parse(layout, value); err == nil {
				at = parsed
			}
		}
	default:
		seconds, ok := r.number(column)
		if !ok || seconds > math.MaxInt32*4 {
			return time.Time{}, false
		}
		at = time.Unix(seconds, 0)
	}
	return at.UTC(), at.Unix() > 0
}

// past returns the time of something that happened. It returns false for a time in the future.
func (r row) past(column string) (time.Time, bool) {
	at, ok := r.time(column)
	return at, ok && at.Before(time.Now().Add(maxClockSkew))
}
