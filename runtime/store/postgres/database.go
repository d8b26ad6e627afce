package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/store/relational"
)

const (
	// patience bounds one transaction: a server that went away without a word must not hold up its
	// service for as long as the kernel tries to reach it.
	patience = 30 * time.Second
	// maxAttempts bounds how often a transaction is tried that others stand in the way of.
	maxAttempts = 20
)

// database is a relational.Database.
type database struct {
	session

	pool  *pgxpool.Pool
	guard *connector
}

// Query implements relational.Executor.
func (d *database) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	rows, err := d.session.Query(ctx, query, arguments...)
	if err != nil {
		cancel()
		return nil, err
	}
	return bounded{rows, cancel}, nil
}

// bounded ends the time limit of a query with its rows.
type bounded struct {
	relational.Rows

	cancel context.CancelFunc
}

// Close implements relational.Rows.
func (b bounded) Close() {
	b.Rows.Close()
	b.cancel()
}

// Exec implements relational.Executor.
func (d *database) Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error) {
	err = d.again(ctx, func(ctx context.Context) error {
		changed, err = d.session.Exec(ctx, query, arguments...)
		return err
	})
	return changed, err
}

// Read implements relational.Database.
func (d *database) Read(ctx context.Context, work func(relational.Session) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return d.transaction(ctx, options, work)
}

// Write implements relational.Database. The level is given, since a role may have another as its default.
func (d *database) Write(ctx context.Context, work func(relational.Session) error) error {
	return d.again(ctx, func(ctx context.Context) error {
		return d.transaction(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, work)
	})
}

func (d *database) transaction(
	ctx context.Context, options pgx.TxOptions, work func(relational.Session) error,
) error {
	tx, err := d.pool.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	if err := work(session{tx}); err != nil {
		// The transaction's own error adds nothing to the one that ended it. Its context may have ended.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = tx.Rollback(ending)
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", classify(err))
	}
	return nil
}

// again does work until no other transaction stands in its way.
func (d *database) again(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := work(ctx)
		if !retryable(err) || attempt == maxAttempts {
			return err
		}
		// At random, so that those who met do not meet again.
		timer := time.NewTimer(time.Duration(attempt) * rand.N(10*time.Millisecond)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// SkipLocked implements relational.Database.
func (d *database) SkipLocked() string { return " FOR UPDATE SKIP LOCKED" }

// Share implements relational.Database.
func (d *database) Share() string { return " FOR SHARE" }

// Renumber implements relational.Database.
func (d *database) Renumber(ctx context.Context, session relational.Session, table string) error {
	query := fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%[1]s', 'id'),
greatest((SELECT max(id) FROM %[1]s), nextval(pg_get_serial_sequence('%[1]s', 'id'))))`, table)
	if _, err := session.Exec(ctx, query); err != nil {
		return fmt.Errorf("renumbering table %s: %w", table, err)
	}
	return nil
}

// Adopted implements relational.Database.
func (d *database) Adopted(identity string) { d.guard.identity.Store(&identity) }
