// Package legacy takes over what a Python Rosey kept in its SQLite file (the public repository
// grobertson/Rosey-Robot). The file is read and never changed.
package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Generation is which Python Rosey made a file.
type Generation string

// The two generations that have databases. They differ in columns only; the tables that both have mean
// the same.
const (
	Synchronous Generation = "sqlite3 (up to 0.5)"
	ORM         Generation = "SQLAlchemy (0.6 and later)"
)

// Source is the database of a Python Rosey, as of one moment.
type Source struct {
	Path       string
	Generation Generation

	db *sql.DB
	tx *sql.Tx
	// columns are those of each table.
	columns map[string][]string
}

// needed are the columns by which such a database is known. All others may be missing: the Python bot
// added some to older files when it opened them.
var needed = map[string][]string{
	"user_stats": {
		"username", "first_seen", "last_seen", "total_chat_lines", "total_time_connected", "current_session_start",
	},
	"channel_stats":      {"max_users", "max_users_timestamp"},
	"user_count_history": {"timestamp", "chat_users", "connected_users"},
	"recent_chat":        {"id", "timestamp", "username", "message"},
	"outbound_messages":  {"id", "timestamp", "message", "sent"},
	"user_actions":       {"id", "timestamp", "username", "action_type", "details"},
}

// Open opens a file for reading alone. While the source is open its own bot cannot write to it.
func Open(ctx context.Context, path string) (*Source, error) {
	// SQLite's own message would only say that it cannot open it.
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, fmt.Errorf("opening %s: %w", path, errors.Join(err, errors.New("expected the Python bot's SQLite file")))
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	// Not immutable: then SQLite would not look whether somebody writes, and read halves of pages.
	parameters := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	name := &url.URL{Scheme: "file", Path: absolute, RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s := &Source{Path: path, db: db, columns: map[string][]string{}}
	if err := s.recognise(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Close ends the reading.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback() // nothing was written
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", s.Path, err)
	}
	return nil
}

func (s *Source) recognise(ctx context.Context) error {
	var err error
	if s.tx, err = s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	const query = `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("reading its schema: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells
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
	return s.known()
}

// known refuses a file that is something else, before anything is taken from it.
func (s *Source) known() error {
	if s.has("goose_db_version", "version_id") && s.has("store", "uuid") {
		return errors.New("it is a database of this program already: use `rosey db restore`")
	}
	for table, columns := range needed {
		for _, column := range columns {
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

// count is how many rows a table has.
func (s *Source) count(ctx context.Context, table string) (rows int, err error) {
	if err := s.tx.QueryRowContext(ctx, `SELECT count(*) FROM `+quote(table)).Scan(&rows); err != nil {
		return 0, fmt.Errorf("%s, table %s: counting rows: %w", s.Path, table, err)
	}
	return rows, nil
}

// each reads columns of all rows. A column that the file does not have is NULL.
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
	defer func() { _ = rows.Close() }() // Err below tells
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
