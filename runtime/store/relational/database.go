package relational

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Database is an open database. Its errors wrap those of package store where one applies.
type Database interface {
	Executor
	// Read calls work in a transaction that reads a snapshot of the database. The context of work has its time limit.
	Read(ctx context.Context, work func(context.Context, Tx) error) error
	// ReadAll is Read for work that takes as long as the database is large. It has no time limit but ctx.
	ReadAll(ctx context.Context, work func(context.Context, Tx) error) error
	// Write calls work in a transaction, which is rolled back if work returns an error. It calls work again if the
	// database ended the transaction because of a conflict with another one. The context of work has the time limit.
	Write(ctx context.Context, work func(context.Context, Tx) error) error
	// SkipLocked returns the clause that locks the rows of a SELECT and leaves out those that another transaction has
	// locked. It is empty for a database with a single writer.
	SkipLocked() string
	// ForShare returns the clause that keeps other transactions from changing the rows of a SELECT until the end of the
	// transaction. It is empty for a database with a single writer.
	ForShare() string
	// AdvanceSequence advances the sequence of a table's column id beyond the highest ID of its rows.
	AdvanceSequence(ctx context.Context, tx Tx, table string) error
	// IdentityChanged is called after the database has been given another identity.
	IdentityChanged(identity string)
}

// Executor executes statements. Each statement that a Database executes is a transaction.
type Executor interface {
	// Query executes a statement that returns rows. On a Database it must not write.
	Query(ctx context.Context, query string, arguments ...any) (Rows, error)
	// Exec executes a statement and returns how many rows it changed.
	Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error)
}

// Tx is a transaction.
type Tx interface {
	Executor
	// ExecAll executes a statement once for each element of rows, which are its arguments.
	ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error)
	// ExecLater stores rows of a table: it does what ExecAll does, but may do it together with the next statement, or
	// with the commit. Then that returns the error, which names the table.
	ExecLater(ctx context.Context, table, query string, rows [][]any) error
	// ExpectLater checks as ExecLater executes that a query returns a row, as it did in an earlier transaction of this
	// store. If another process has changed that, the error is ErrChanged; a database that has no other writer need not
	// look. Rows that the query locks are locked before those of later statements.
	ExpectLater(ctx context.Context, query string, arguments []any) error
	// InsertLater inserts rows as Insert, and merges the rows of counters, which count those that did not exist yet. It
	// may do so as ExecLater.
	InsertLater(ctx context.Context, table Table, rows [][]any, counters ...Counter) error
	// Insert inserts rows of events whose keys do not exist yet, and returns the keys of those that it inserted. The keys
	// are unique within rows.
	Insert(ctx context.Context, table Table, rows [][]any) (added []EventKey, err error)
}

// ErrChanged means that another transaction has changed what a transaction expected. The transaction can be repeated.
var ErrChanged = errors.New("another transaction has changed what this one expected")

// StoringError says that rows of a table could not be stored.
func StoringError(table string, err error) error {
	return fmt.Errorf("storing rows of %s: %w", table, err)
}

// EventKey is the primary key of a row that an event has made: the first two columns. IDs are chosen by publishers, so
// that one counts within its channel only: nobody can keep an event of another channel out by using its ID before.
type EventKey struct {
	ID      string
	Channel int64
}

// EventKeyOf returns the key of a row for Tx.Insert.
func EventKeyOf(row []any) EventKey {
	id, _ := row[0].(string)
	channel, _ := row[1].(int64)
	return EventKey{id, channel}
}

// Counter is rows of a table that are merged with existing ones as Table.Upsert does, and whose last column, which is
// int64(0), counts the rows of another table that are inserted. A row that existed is not counted again.
type Counter struct {
	Table Table
	Rows  [][]any
	// Of has for each row of the other table the index in Rows of the row that counts it, or -1.
	Of []int
}

// Count counts a row of the other table that was inserted.
func (c Counter) Count(inserted int) {
	if c.Of[inserted] < 0 {
		return
	}
	row := c.Rows[c.Of[inserted]]
	last := len(row) - 1
	count, _ := row[last].(int64)
	row[last] = count + 1
}

// Rows is the result of a query. Close ends the query; Err returns what ended the iteration early.
type Rows interface {
	Next() bool
	Scan(columns ...any) error
	Err() error
	Close()
}

// Store implements store.Importer except for Optimize, Size and Close, which each database adds.
type Store struct {
	db       Database
	readOnly bool
	channels *channelMemory
}

// New returns a store for a database whose schema is up to date.
func New(db Database) Store { return Store{db: db, channels: newChannelMemory()} }

// NewReadOnly returns a store that does not write. Methods that have to return errors of db.
func NewReadOnly(db Database) Store {
	return Store{db: db, readOnly: true, channels: newChannelMemory()}
}

// Identity implements store.Store.
func (s Store) Identity(ctx context.Context) (string, error) {
	id, found, err := selectOne(ctx, s.db, "SELECT id FROM identity", nil, scanValue[string])
	if err == nil && !found {
		err = fmt.Errorf("%w: the table identity is empty", store.ErrMigration)
	}
	if err != nil {
		return "", fmt.Errorf("reading the database's identity: %w", err)
	}
	return id, nil
}

// Select returns all rows of a query. columns returns the destinations of a row's columns for Scan. Without rows the
// result is empty, not nil, so that it becomes an array in JSON.
func Select[T any](
	ctx context.Context, from Executor, query string, arguments []any, columns func(*T) []any,
) ([]T, error) {
	all := []T{}
	if err := each(ctx, from, query, arguments, columns, func(row T) { all = append(all, row) }); err != nil {
		return nil, err
	}
	return all, nil
}

// each calls do with one row of a query after the other.
func each[T any](
	ctx context.Context, from Executor, query string, arguments []any, columns func(*T) []any, do func(row T),
) error {
	rows, err := from.Query(ctx, query, arguments...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row T
		if err := rows.Scan(columns(&row)...); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
		do(row)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	return nil
}

// selectOne is Select for a query with at most one row.
func selectOne[T any](
	ctx context.Context, from Executor, query string, arguments []any, columns func(*T) []any,
) (row T, found bool, err error) {
	rows, err := Select(ctx, from, query, arguments, columns)
	if err != nil || len(rows) == 0 {
		return row, false, err
	}
	return rows[0], true, nil
}

// scanValue returns the destination of a single column.
func scanValue[T any](value *T) []any { return []any{value} }

// millis scans a column of milliseconds since 1970 into a time in UTC. NULL leaves the time unchanged.
type millis struct{ *time.Time }

// Scan implements sql.Scanner.
func (m millis) Scan(column any) error {
	switch value := column.(type) {
	case nil:
	case int64:
		*m.Time = time.UnixMilli(value).UTC()
	default:
		return fmt.Errorf("a time is stored as %T, expected an integer", column)
	}
	return nil
}
