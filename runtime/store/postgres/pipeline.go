package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errRolledBack means that the server has ended a transaction without its changes.
var errRolledBack = errors.New("the server has rolled the transaction back")

// pipeline is an executor for one transaction. Statements whose results nobody waits for are sent together with the
// next one: the first one begins the transaction, and the last ones go with its commit. A batch of events needs one
// round trip to the server: if a statement fails, the server executes none after it, so that it does not commit.
//
// The end of a context ends no statement: interruptAtEnd does.
type pipeline struct {
	conn *pgxpool.Conn
	// waiting are statements that have not been sent, and explain says for each what its error means.
	waiting *pgx.Batch
	explain []func(error) error
	// begun is false until the statement that begins the transaction has been sent.
	begun bool
}

func newPipeline(conn *pgxpool.Conn, begin string) *pipeline {
	p := &pipeline{conn: conn, waiting: &pgx.Batch{}}
	p.queue(begin, nil, func(err error) error { return err })
	return p
}

// queue adds a statement to those that wait. explain wraps its error.
func (p *pipeline) queue(query string, arguments []any, explain func(error) error) {
	p.waiting.Queue(query, arguments...)
	p.explain = append(p.explain, explain)
}

// send sends all statements that wait and those of batch. The results are those of batch.
func (p *pipeline) send(ctx context.Context, batch *pgx.Batch) (pgx.BatchResults, error) {
	before := p.explain
	all := &pgx.Batch{QueuedQueries: append(p.waiting.QueuedQueries, batch.QueuedQueries...)}
	p.waiting, p.explain, p.begun = &pgx.Batch{}, nil, true
	results := p.conn.SendBatch(context.WithoutCancel(ctx), all)
	for _, explain := range before {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // it has the same error
			return nil, explain(err)
		}
	}
	return results, nil
}

// last sends all statements that wait and one more. The results are those of that one.
func (p *pipeline) last(ctx context.Context, query string, arguments []any) (pgx.BatchResults, error) {
	batch := &pgx.Batch{}
	batch.Queue(query, arguments...)
	return p.send(ctx, batch)
}

// SendBatch implements executor.
func (p *pipeline) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	results, err := p.send(ctx, batch)
	if err != nil {
		return failedResults{err: err}
	}
	return results
}

// Query implements executor.
func (p *pipeline) Query(ctx context.Context, query string, arguments ...any) (pgx.Rows, error) {
	if p.waiting.Len() == 0 {
		return p.conn.Query(context.WithoutCancel(ctx), query, arguments...) //nolint:wrapcheck // the caller classifies it
	}
	results, err := p.last(ctx, query, arguments)
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close() // it has the same error
		return nil, err     //nolint:wrapcheck // the caller classifies it
	}
	return pipelinedRows{rows, results}, nil
}

// Exec implements executor.
func (p *pipeline) Exec(ctx context.Context, query string, arguments ...any) (pgconn.CommandTag, error) {
	if p.waiting.Len() == 0 {
		return p.conn.Exec(context.WithoutCancel(ctx), query, arguments...) //nolint:wrapcheck // the caller classifies it
	}
	results, err := p.last(ctx, query, arguments)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

// commit sends what waits and commits. It has nothing to commit if nothing was sent but the beginning.
func (p *pipeline) commit(ctx context.Context) error {
	if !p.begun && p.waiting.Len() == 1 {
		return nil
	}
	tag, err := p.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		err = errRolledBack
	}
	return err
}

// rollback ends a transaction that was begun. Its error would add nothing: a connection within a transaction is closed
// when it is released. ctx may have ended.
func (p *pipeline) rollback(ctx context.Context) {
	if !p.begun || p.conn.Conn().IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_, _ = p.conn.Exec(ctx, "ROLLBACK")
}

// pipelinedRows are the rows of the last statement of a batch.
type pipelinedRows struct {
	pgx.Rows

	results pgx.BatchResults
}

// Close implements pgx.Rows.
func (r pipelinedRows) Close() {
	r.Rows.Close()
	_ = r.results.Close() // Err has the error
}

// failedResults are the results of a batch before which a statement has failed. ExecAll calls no other methods.
type failedResults struct {
	pgx.BatchResults

	err error
}

// Exec implements pgx.BatchResults.
func (r failedResults) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, r.err }

// Close implements pgx.BatchResults.
func (r failedResults) Close() error { return r.err }
