package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// Source is the database of another bot, as of the moment when it was opened.
type Source struct {
	Path    string
	Program Program

	db *sqlite.Snapshot
	tx *sql.Tx
	// columns are the columns of each table.
	columns map[string][]string
}

// Open opens a database file for reading only, and reads all of it to see that it is not damaged. While the Source is
// open, the other bot cannot write to the file.
func Open(ctx context.Context, path string) (*Source, error) {
	db, err := sqlite.OpenSnapshot(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s, expected the SQLite file of a bot: %w", path, err)
	}
	s := &Source{Path: path, db: db, columns: map[string][]string{}}
	if err := s.readSchema(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), s.Close())
	}
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("checking %s: %w", path, err), s.Close())
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
	s.Program, err = recognize(s.columns)
	return err
}

// check returns an error if the file is damaged: otherwise an import would end in the middle of a table.
func (s *Source) check(ctx context.Context) error {
	var result string
	if err := s.tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("reading all of it: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("it is damaged (%.200q): save what is left of it with the command .recover of sqlite3, and "+
			"import that", result)
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

// maxCellBytes is the size up to which a text is read: how much memory a row needs must not be up to the file.
const maxCellBytes = config.MaxTextBytes

// each calls do for all rows of a table, in an order unless that is empty. A column that the file does not have is
// NULL, and so are longer texts than maxCellBytes.
func (s *Source) each(ctx context.Context, table, order string, columns []string, do func(row) error) error {
	selected, long := make([]string, len(columns)), []string{"0"}
	for i, column := range columns {
		selected[i] = "NULL"
		if s.has(table, column) {
			isLong := fmt.Sprintf("coalesce(octet_length(%s), 0) > %d", quote(column), maxCellBytes)
			selected[i] = fmt.Sprintf("CASE WHEN %s THEN NULL ELSE %s END", isLong, quote(column))
			long = append(long, isLong)
		}
	}
	query := fmt.Sprintf(`SELECT %s, %s FROM %s`, strings.Join(selected, ", "), strings.Join(long, " OR "), quote(table))
	if order != "" {
		query += " ORDER BY " + order
	}
	return s.query(ctx, table, query, columns, do)
}

// query calls do for all rows of a query on a table. The query returns the columns, and one more that is true if a text
// of the row is left out for its size.
func (s *Source) query(ctx context.Context, table, query string, columns []string, do func(row) error) error {
	fail := func(err error) error { return fmt.Errorf("%s, table %s: %w", s.Path, table, err) }
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }() // Err below has the error
	var isLong bool
	values, targets := make([]any, len(columns)), make([]any, len(columns), len(columns)+1)
	for i := range values {
		targets[i] = &values[i]
	}
	targets = append(targets, &isLong)
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return fail(err)
		}
		if err := do(row{columns, values, isLong}); err != nil {
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
	isLong  bool // a text was left out for its size
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

const (
	// maxCount is more than a channel can have of users and connections. A record stays for ever.
	maxCount = 1_000_000
	// maxLines is more than anybody has written.
	maxLines = 1_000_000_000
	// maxConnected is longer than anybody has been in a channel, and short enough that two of them can be added.
	maxConnected = 100 * 365 * 24 * time.Hour
)

// count returns a number from 0 to most, 0 for NULL. It returns false for anything else.
func (r row) count(column string, most int64) (int, bool) {
	if r.value(column) == nil {
		return 0, true
	}
	value, ok := r.number(column)
	return int(value), ok && value >= 0 && value <= most
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

// Reasons for skipping rows of bots that store times in milliseconds.
const inSeconds = "with a time that is not in milliseconds"

// earliest is before CyTube existed: an earlier time is none.
var earliest = time.Date(2013, time.January, 1, 0, 0, 0, 0, time.UTC)

// pastMillis returns the time of something that happened, in milliseconds since 1970, and why it is none. Empty: it is
// one.
func (r row) pastMillis(column string) (at time.Time, problem string) {
	number, ok := r.number(column)
	if !ok {
		return time.Time{}, badTime
	}
	latest := time.Now().Add(maxClockSkew)
	isPast := func(milliseconds int64) bool {
		return milliseconds >= earliest.UnixMilli() && milliseconds <= latest.UnixMilli()
	}
	switch {
	case isPast(number):
		return time.UnixMilli(number).UTC(), ""
	case number >= 0 && number < math.MaxInt64/1000 && isPast(number*1000), isPast(number / 1000):
		return time.Time{}, inSeconds
	default:
		return time.Time{}, badTime
	}
}
