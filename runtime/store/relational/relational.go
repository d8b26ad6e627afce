// Package relational is what the stores in relational databases have in common: which rows a batch of
// events becomes, how they merge with those that are there, and how questions are answered from them.
//
// Its statements are in the SQL that SQLite and PostgreSQL both understand, with parameters $1, $2, …
// What differs is behind Database: connections, transactions, inserting
// many rows, and which errors mean what.
package relational

import (
	"context"
	"fmt"
	"time"
)

// Database is an open database. Its errors are wrapped in those of package store where they mean one.
type Database interface {
	Executor
	// Read does work that sees the database as of one moment.
	Read(ctx context.Context, work func(Session) error) error
	// Write does work in one transaction: all of it or, with an error, nothing. It may do work several
	// times, where a database ends one of two transactions that stand in each other's way.
	Write(ctx context.Context, work func(Session) error) error
	// SkipLocked follows a SELECT and leaves out the rows that another transaction is changing. It is
	// empty where there is one writer.
	SkipLocked() string
	// Share follows a SELECT and keeps others from changing its rows until the transaction ends. It is
	// empty where there is one writer.
	Share() string
	// Renumber has rows that get their number from the table get one above all that are there.
	Renumber(ctx context.Context, session Session, table string) error
	// Adopted tells that the database has another identity from now on.
	Adopted(identity string)
}

// Executor executes statements. Those of a Database are a transaction each.
type Executor interface {
	// Query asks. Of a Database it only reads.
	Query(ctx context.Context, query string, arguments ...any) (Rows, error)
	// Exec executes a statement and answers how many rows it changed.
	Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error)
}

// Session is a transaction.
type Session interface {
	Executor
	// ExecAll executes one statement for each of rows, which are its arguments.
	ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error)
	// Insert adds rows to a table unless it has one of the same key, which is the first of columns and a
	// text. Keys of rows are unique. It answers the keys of those that were not there.
	Insert(ctx context.Context, table Table, rows [][]any) (added []string, err error)
}

// Rows are the answer to a query.
type Rows interface {
	Next() bool
	Scan(columns ...any) error
	Err() error
	Close()
}

// Table names a table and its columns. The first is the key.
type Table struct {
	Name    string
	Columns []string
}

// Select reads all rows of a query. columns answers where a row's columns go. Without rows the result
// is empty and not nil, so that it is an array in JSON.
func Select[T any](
	ctx context.Context, from Executor, query string, arguments []any, columns func(*T) []any,
) ([]T, error) {
	rows, err := from.Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		var row T
		if err := rows.Scan(columns(&row)...); err != nil {
			return nil, fmt.Errorf("reading a row: %w", err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading rows: %w", err)
	}
	return all, nil
}

// selectOne is Select for a query that answers one row or none.
func selectOne[T any](
	ctx context.Context, from Executor, query string, arguments []any, columns func(*T) []any,
) (row T, found bool, err error) {
	rows, err := Select(ctx, from, query, arguments, columns)
	if err != nil || len(rows) == 0 {
		return row, false, err
	}
	return rows[0], true, nil
}

func itself[T any](value *T) []any { return []any{value} }

// Millis reads a column of milliseconds into a time.
type Millis struct{ *time.Time }

// Scan implements sql.Scanner.
func (m Millis) Scan(column any) error {
	value, ok := column.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T, expected a whole number", column)
	}
	*m.Time = time.UnixMilli(value).UTC()
	return nil
}

// maybeMillis is Millis for a column that may be NULL, which leaves the time as it is.
type maybeMillis struct{ *time.Time }

// Scan implements sql.Scanner.
func (m maybeMillis) Scan(column any) error {
	if column == nil {
		return nil
	}
	return Millis(m).Scan(column)
}
