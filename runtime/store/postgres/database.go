package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/store/relational"
)

const (
	// transactionTimeout limits one transaction with its repetitions: a server that vanished must not block the service
	// for as long as the kernel tries to reach it.
	transactionTimeout = 30 * time.Second
	// maxAttempts is how often a transaction that conflicts with others is executed.
	maxAttempts = 20
)

var errReadOnly = errors.New("the database is open for reading only")

// database implements relational.Database.
type database struct {
	tx

	pool      *pgxpool.Pool
	connector *connector
	timeout   time.Duration // transactionTimeout, except in tests
}

// Query implements relational.Executor.
func (d *database) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	rows, err := d.tx.Query(ctx, query, arguments...)
	if err != nil {
		cancel()
		return nil, err
	}
	return rowsWithTimeout{rows, cancel}, nil
}

// rowsWithTimeout ends the time limit of a query when the rows are closed.
type rowsWithTimeout struct {
	relational.Rows

	cancel context.CancelFunc
}

// Close implements relational.Rows.
func (r rowsWithTimeout) Close() {
	r.Rows.Close()
	r.cancel()
}

// Exec implements relational.Executor. It is a transaction of its own, since a role may have another default for those
// that are not begun.
func (d *database) Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error) {
	err = d.Write(ctx, func(ctx context.Context, tx relational.Tx) error {
		changed, err = tx.Exec(ctx, query, arguments...)
		return err
	})
	return changed, err
}

// Read implements relational.Database.
func (d *database) Read(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.ReadAll(ctx, work)
}

// ReadAll implements relational.Database.
func (d *database) ReadAll(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	return d.transaction(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work)
}

// Write implements relational.Database. Isolation level and access mode are explicit because a role may have other
// defaults.
func (d *database) Write(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	if d.connector.readOnly {
		return errReadOnly
	}
	return d.retry(ctx, func(ctx context.Context) error {
		return d.transaction(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", work)
	})
}

func (d *database) transaction(
	ctx context.Context, begin string, work func(context.Context, relational.Tx) error,
) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	defer conn.Release() // a connection within a transaction is closed
	defer interruptAtEnd(ctx, conn)()
	p := newPipeline(conn, begin)
	err = work(ctx, tx{p})
	if err == nil {
		if err = p.commit(ctx); err != nil {
			err = fmt.Errorf("committing: %w", classify(err))
		}
	}
	if err == nil {
		return nil
	}
	p.rollback(ctx)
	if ctx.Err() != nil { // the driver knows only that the connection was interrupted
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// interruptAtEnd ends what a connection waits for when ctx ends, and with it the connection, until the function that it
// returns is called. The driver would start a goroutine for each statement, and wait for its end, which takes a large
// part of the time of a single line of chat.
func interruptAtEnd(ctx context.Context, conn *pgxpool.Conn) (release func()) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = conn.Conn().PgConn().Conn().SetDeadline(time.Unix(1, 0)) // it fails if the connection is closed
	})
	return func() {
		if stop() {
			return
		}
		<-interrupted
		_ = conn.Conn().Close(ctx) // it cannot be used again
	}
}

// retry calls work until it does not conflict with another transaction.
func (d *database) retry(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := work(ctx)
		if !isConflict(err) || attempt == maxAttempts {
			return err
		}
		// Random, so that transactions that conflicted do not meet again.
		if !backoff.Sleep(ctx, backoff.Jitter(time.Duration(attempt)*10*time.Millisecond)) {
			return err
		}
	}
}

// SkipLocked implements relational.Database.
func (d *database) SkipLocked() string { return " FOR UPDATE SKIP LOCKED" }

// ForShare implements relational.Database.
func (d *database) ForShare() string { return " FOR SHARE" }

// AdvanceSequence implements relational.Database.
func (d *database) AdvanceSequence(ctx context.Context, tx relational.Tx, table string) error {
	query := fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%[1]s', 'id'),
greatest((SELECT max(id) FROM %[1]s), nextval(pg_get_serial_sequence('%[1]s', 'id'))))`, table)
	if _, err := tx.Exec(ctx, query); err != nil {
		return fmt.Errorf("advancing the sequence of table %s: %w", table, err)
	}
	return nil
}

// IdentityChanged implements relational.Database.
func (d *database) IdentityChanged(identity string) { d.connector.identity.Store(&identity) }

// tx implements relational.Tx.
type tx struct{ executor executor }

// executor is a *pgxpool.Pool or a *pipeline.
type executor interface {
	Query(ctx context.Context, query string, arguments ...any) (pgx.Rows, error)
	Exec(ctx context.Context, query string, arguments ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// Query implements relational.Executor.
func (t tx) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	found, err := t.executor.Query(ctx, query, arguments...)
	if err != nil {
		return nil, fmt.Errorf("querying: %w", classify(err))
	}
	return rows{found}, nil
}

// Exec implements relational.Executor.
func (t tx) Exec(ctx context.Context, query string, arguments ...any) (int64, error) {
	tag, err := t.executor.Exec(ctx, query, arguments...)
	if err != nil {
		return 0, fmt.Errorf("executing: %w", classify(err))
	}
	return tag.RowsAffected(), nil
}

// ExecAll implements relational.Tx. All statements are sent at once.
func (t tx) ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	batch := &pgx.Batch{}
	for _, arguments := range rows {
		batch.Queue(query, arguments...)
	}
	results := t.executor.SendBatch(ctx, batch)
	for i := 0; i < len(rows) && err == nil; i++ {
		var tag pgconn.CommandTag
		tag, err = results.Exec()
		changed += tag.RowsAffected()
	}
	// Close returns the first error again.
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, fmt.Errorf("executing: %w", classify(err))
	}
	return changed, nil
}

// ExecLater implements relational.Tx.
func (t tx) ExecLater(ctx context.Context, table, query string, rows [][]any) error {
	return t.later(ctx, query, rows, func(err error) error { return relational.StoringError(table, err) })
}

// later executes a statement for each of rows, together with the next one if it is in a transaction.
func (t tx) later(ctx context.Context, query string, rows [][]any, explain func(error) error) error {
	if p, ok := t.executor.(*pipeline); ok {
		for _, arguments := range rows {
			p.queue(query, arguments, explain)
		}
		return nil
	}
	if _, err := t.ExecAll(ctx, query, rows); err != nil {
		return explain(err)
	}
	return nil
}

// unexpected is the text in which an expectation that is not met ends: a number follows. The server's log has it.
const unexpected = "rosey repeats this transaction, since another one has changed what it expected; rows: "

// ExpectLater implements relational.Tx. The server itself ends the transaction, since its commit may already be there:
// the text is no number.
func (t tx) ExpectLater(ctx context.Context, query string, arguments []any) error {
	expect := "SELECT CASE count(*) WHEN 0 THEN ('" + unexpected + "' || count(*))::bigint END FROM (" + query +
		") AS expected"
	return t.later(ctx, expect, [][]any{arguments}, func(err error) error {
		if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == "22P02" { // invalid text
			return relational.ErrChanged
		}
		return err
	})
}

// InsertLater implements relational.Tx.
func (t tx) InsertLater(
	ctx context.Context, table relational.Table, rows [][]any, counters ...relational.Counter,
) error {
	if len(rows) == 0 {
		return nil
	}
	query, arguments := insertCounted(table, rows, counters)
	return t.ExecLater(ctx, table.Name, query, [][]any{arguments})
}

// Insert implements relational.Tx.
func (t tx) Insert(ctx context.Context, table relational.Table, rows [][]any) ([]relational.EventKey, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var all arrays
	query := all.insert(table, rows) + " RETURNING " + table.KeyColumns()
	return relational.Select(ctx, t, query, all.arguments, func(key *relational.EventKey) []any {
		return []any{&key.ID, &key.Channel}
	})
}

// rows implements relational.Rows. The driver returns the error of a statement only here.
type rows struct{ pgx.Rows }

// Err implements relational.Rows.
func (r rows) Err() error { return classify(r.Rows.Err()) }
