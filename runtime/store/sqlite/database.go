package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"rosey.dev/rosey/runtime/platform"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

var errReadOnly = errors.New("the database is open for reading only")

// database implements relational.Database: one connection writes, others read beside it.
type database struct {
	tx // queries

	write *sql.DB // nil if read-only
	read  *sql.DB
	files watchedFiles // none if read-only
}

func (d *database) open(ctx context.Context, path string) error {
	var err error
	if d.write, err = openPool(dataSource(path, writing)); err != nil {
		return fmt.Errorf("for writing: %w", err)
	}
	// SQLite has one writer at a time. database/sql queues the others fairly, SQLite does not.
	d.write.SetMaxOpenConns(1)
	if d.read, err = openPool(dataSource(path, reading)); err != nil {
		return fmt.Errorf("for reading: %w", err)
	}
	d.read.SetMaxOpenConns(readers)
	d.tx = tx{d.read}
	return relational.Migrate(ctx, goose.DialectSQLite3, d.write, migrations)
}

// Exec implements relational.Executor.
func (d *database) Exec(ctx context.Context, query string, arguments ...any) (int64, error) {
	if d.write == nil {
		return 0, errReadOnly
	}
	changed, err := tx{d.write}.Exec(ctx, query, arguments...)
	if err == nil {
		err = d.files.check()
	}
	return changed, err
}

// Read implements relational.Database.
func (d *database) Read(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	begun, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("beginning a transaction for reading: %w", classify(err))
	}
	defer func() { _ = begun.Rollback() }() // nothing was written
	return work(ctx, tx{begun})
}

// ReadAll implements relational.Database.
func (d *database) ReadAll(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	return d.Read(ctx, work)
}

// Write implements relational.Database. It fails if the files of the database are not found any more, even if the
// transaction was committed: the caller repeats it then, once the rows have a place again.
func (d *database) Write(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	if d.write == nil {
		return errReadOnly
	}
	if err := d.files.check(); err != nil {
		d.saveLog(ctx)
		return err
	}
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("waiting for the connection that writes: %w", classify(err))
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	if err := d.writeOn(ctx, conn, work); err != nil {
		return err
	}
	return d.files.check()
}

// writeOn calls work in a transaction on a connection. It is begun and ended by statements, because database/sql and
// the driver start a goroutine for each transaction and each statement whose context can be cancelled, which for a
// single line of chat takes longer than its statements.
func (d *database) writeOn(
	ctx context.Context, conn *sql.Conn, work func(context.Context, relational.Tx) error,
) error {
	uncancelled := context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(uncancelled, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	committed := false
	defer func() { // also if work panics
		if !committed {
			d.rollBack(uncancelled, conn)
		}
	}()
	if err := work(ctx, tx{conn}); err != nil {
		return err
	}
	if _, err := conn.ExecContext(uncancelled, "COMMIT"); err != nil {
		return fmt.Errorf("committing: %w", classify(err))
	}
	committed = true
	return nil
}

// rollBack ends a transaction without its changes. If that fails, the connection is closed, and the next transaction
// opens another one: on a connection with an open transaction, all later ones would fail.
func (d *database) rollBack(ctx context.Context, conn *sql.Conn) {
	_, err := conn.ExecContext(ctx, "ROLLBACK")
	// After some errors, such as a full disk, SQLite has rolled back itself.
	if err == nil || strings.Contains(err.Error(), "no transaction is active") {
		return
	}
	// With the last connection SQLite removes the journals, and new ones are not those that are watched. One that reads
	// keeps them.
	_ = d.Read(ctx, func(ctx context.Context, tx relational.Tx) error {
		_, err := tx.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1")
		return err
	})
	_ = conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // which it returns
}

// saveLog moves the rows in the write-ahead log to the database: the log itself may be the file that is gone. It has no
// effect on a database that is gone.
func (d *database) saveLog(ctx context.Context) {
	_, _ = d.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // the caller has a better error
}

// SkipLocked implements relational.Database: there is one writer.
func (d *database) SkipLocked() string { return "" }

// ForShare implements relational.Database: there is one writer.
func (d *database) ForShare() string { return "" }

// AdvanceSequence implements relational.Database: SQLite stores the highest ID itself (AUTOINCREMENT).
func (d *database) AdvanceSequence(context.Context, relational.Tx, string) error { return nil }

// IdentityChanged implements relational.Database: a file stays the same file.
func (d *database) IdentityChanged(string) {}

// tx implements relational.Tx.
type tx struct{ executor executor }

// executor is a *sql.DB, a *sql.Conn or a *sql.Tx.
type executor interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, arguments ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// numbered turns parameters $1 into ?1. SQLite takes $1 for a name and numbers names in the order of their appearance.
func numbered(query string) string { return strings.ReplaceAll(query, "$", "?") }

// Query implements relational.Executor.
func (t tx) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	found, err := t.executor.QueryContext(ctx, numbered(query), arguments...) //nolint:rowserrcheck // the caller does
	if err != nil {
		return nil, fmt.Errorf("querying: %w", classify(err))
	}
	return rows{found}, nil
}

// Exec implements relational.Executor.
func (t tx) Exec(ctx context.Context, query string, arguments ...any) (int64, error) {
	result, err := t.executor.ExecContext(ctx, numbered(query), arguments...)
	if err != nil {
		return 0, fmt.Errorf("executing: %w", classify(err))
	}
	return changedRows(result)
}

// ExecAll implements relational.Tx.
func (t tx) ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error) {
	err = t.execEach(ctx, query, rows, func(_ int, count int64) { changed += count })
	return changed, err
}

// ExecLater implements relational.Tx. There is no server, so nothing is gained by waiting.
func (t tx) ExecLater(ctx context.Context, table, query string, rows [][]any) error {
	if _, err := t.ExecAll(ctx, query, rows); err != nil {
		return relational.StoringError(table, err)
	}
	return nil
}

// ExpectLater implements relational.Tx. Nobody else writes the file: it has a lock.
func (t tx) ExpectLater(context.Context, string, []any) error { return nil }

// InsertLater implements relational.Tx.
func (t tx) InsertLater(
	ctx context.Context, table relational.Table, rows [][]any, counters ...relational.Counter,
) error {
	err := t.execEach(ctx, table.Upsert(), rows, func(i int, changed int64) {
		if changed == 0 {
			return
		}
		for _, counter := range counters {
			counter.Count(i)
		}
	})
	if err != nil {
		return relational.StoringError(table.Name, err)
	}
	for _, counter := range counters {
		if err := t.ExecLater(ctx, counter.Table.Name, counter.Table.Upsert(), counter.Rows); err != nil {
			return err
		}
	}
	return nil
}

// Insert implements relational.Tx.
func (t tx) Insert(ctx context.Context, table relational.Table, rows [][]any) (added []relational.EventKey, err error) {
	err = t.execEach(ctx, table.Upsert(), rows, func(i int, changed int64) {
		if changed > 0 {
			added = append(added, relational.EventKeyOf(rows[i]))
		}
	})
	return added, err
}

// execEach executes a statement with each of rows and calls done with the number of rows that it changed.
func (t tx) execEach(ctx context.Context, query string, rows [][]any, done func(i int, changed int64)) error {
	if len(rows) == 0 {
		return nil
	}
	statement, err := t.executor.PrepareContext(ctx, numbered(query))
	if err != nil {
		return fmt.Errorf("preparing: %w", classify(err))
	}
	defer func() { _ = statement.Close() }() // all errors were returned by ExecContext
	// For a context that can be cancelled the driver starts a goroutine for each row, which takes longer than Err.
	uncancelled := context.WithoutCancel(ctx)
	for i, arguments := range rows {
		if ctx.Err() != nil {
			return fmt.Errorf("executing: %w", ctx.Err())
		}
		result, err := statement.ExecContext(uncancelled, arguments...)
		if err != nil {
			return fmt.Errorf("executing: %w", classify(err))
		}
		changed, err := changedRows(result)
		if err != nil {
			return err
		}
		done(i, changed)
	}
	return nil
}

func changedRows(result sql.Result) (int64, error) {
	count, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	return count, nil
}

// rows implements relational.Rows.
type rows struct{ *sql.Rows }

// Close implements relational.Rows.
func (r rows) Close() { _ = r.Rows.Close() } // Err returns the error

// Err implements relational.Rows.
func (r rows) Err() error { return classify(r.Rows.Err()) }

// classify wraps errors that the data caused in store.ErrRejected, and those of a full disk in store.ErrFull.
func classify(err error) error {
	if platform.IsFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	failure, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	switch failure.Code() & 0xff { // the higher bits are details
	case codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH, codes.SQLITE_TOOBIG, codes.SQLITE_RANGE:
		return fmt.Errorf("%w: %w", store.ErrRejected, err)
	case codes.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	default:
		return err
	}
}
