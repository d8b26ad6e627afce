package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/store/relational"
)

// session executes the statements of package relational.
type session struct{ on executor }

// executor is a *sql.DB or a *sql.Tx.
type executor interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, arguments ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// numbered turns parameters $1 into ?1: to SQLite a $1 is a name, and it numbers names as they come.
func numbered(query string) string { return strings.ReplaceAll(query, "$", "?") }

// Query implements relational.Session.
func (s session) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	found, err := s.on.QueryContext(ctx, numbered(query), arguments...) //nolint:rowserrcheck // whoever reads does
	if err != nil {
		return nil, fmt.Errorf("querying: %w", classify(err))
	}
	return rows{found}, nil
}

// Exec implements relational.Session.
func (s session) Exec(ctx context.Context, query string, arguments ...any) (int64, error) {
	result, err := s.on.ExecContext(ctx, numbered(query), arguments...)
	if err != nil {
		return 0, fmt.Errorf("executing: %w", classify(err))
	}
	return changed(result)
}

// ExecAll implements relational.Session.
func (s session) ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error) {
	err = s.each(ctx, query, rows, func(_ int, count int64) { changed += count })
	return changed, err
}

// Insert implements relational.Session.
func (s session) Insert(ctx context.Context, table relational.Table, rows [][]any) (added []string, err error) {
	query := "INSERT INTO " + table.Name + " (" + strings.Join(table.Columns, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(table.Columns)-1) + ") ON CONFLICT (" + table.Columns[0] + ") DO NOTHING"
	err = s.each(ctx, query, rows, func(i int, changed int64) {
		if key, ok := rows[i][0].(string); ok && changed > 0 {
			added = append(added, key)
		}
	})
	return added, err
}

// each executes a statement for each of rows and tells how many rows of the table that changed.
func (s session) each(ctx context.Context, query string, rows [][]any, done func(i int, changed int64)) error {
	if len(rows) == 0 {
		return nil
	}
	statement, err := s.on.PrepareContext(ctx, numbered(query))
	if err != nil {
		return fmt.Errorf("preparing: %w", classify(err))
	}
	defer func() { _ = statement.Close() }() // what it did is done
	// For a context that can end the driver starts a goroutine with each row, which costs more than to look here.
	unending := context.WithoutCancel(ctx)
	for i, arguments := range rows {
		if ctx.Err() != nil {
			return fmt.Errorf("executing: %w", ctx.Err())
		}
		result, err := statement.ExecContext(unending, arguments...)
		if err != nil {
			return fmt.Errorf("executing: %w", classify(err))
		}
		count, err := changed(result)
		if err != nil {
			return err
		}
		done(i, count)
	}
	return nil
}

func changed(result sql.Result) (int64, error) {
	count, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	return count, nil
}

// rows are relational.Rows.
type rows struct{ *sql.Rows }

// Close implements relational.Rows. Err tells what went wrong.
func (r rows) Close() { _ = r.Rows.Close() }

// Err implements relational.Rows.
func (r rows) Err() error { return classify(r.Rows.Err()) }
