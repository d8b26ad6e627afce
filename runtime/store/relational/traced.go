package relational

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/telemetry"
)

// Traced returns a database that begins a span for each transaction and each statement, as a part of the span of the
// context. Where that is not sent, or there is none, it begins none: the work of a service at rest is no trace. The
// spans have neither the text of a statement nor its arguments. about are the attributes that all of them have:
// semconv.DBSystemName…, and where the database is.
func Traced(db Database, about ...attribute.KeyValue) Database { return traced{db, about} }

type traced struct {
	Database

	about []attribute.KeyValue
}

// Query implements Executor.
func (t traced) Query(ctx context.Context, query string, arguments ...any) (Rows, error) {
	return tracedExecutor{t.Database, t.about}.Query(ctx, query, arguments...)
}

// Exec implements Executor.
func (t traced) Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error) {
	return tracedExecutor{t.Database, t.about}.Exec(ctx, query, arguments...)
}

// Read implements Database.
func (t traced) Read(ctx context.Context, work func(context.Context, Tx) error) error {
	return t.transaction(ctx, t.Database.Read, work)
}

// ReadAll implements Database.
func (t traced) ReadAll(ctx context.Context, work func(context.Context, Tx) error) error {
	return t.transaction(ctx, t.Database.ReadAll, work)
}

// Write implements Database.
func (t traced) Write(ctx context.Context, work func(context.Context, Tx) error) error {
	return t.transaction(ctx, t.Database.Write, work)
}

// transaction runs work in a transaction that begin begins. The span includes the wait for a connection, and all
// repetitions of a transaction that conflicts with others.
func (t traced) transaction(
	ctx context.Context, begin func(context.Context, func(context.Context, Tx) error) error,
	work func(context.Context, Tx) error,
) error {
	if !telemetry.Recording(ctx) {
		return begin(ctx, work)
	}
	ctx, span := telemetry.Start(ctx, "transaction", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(t.about...), trace.WithAttributes(semconv.DBOperationName("transaction")))
	var later []trace.Span
	err := begin(ctx, func(ctx context.Context, tx Tx) error {
		return work(ctx, tracedTx{tracedExecutor{tx, t.about}, tx, &later})
	})
	for _, statement := range later {
		endSpan(statement, err)
	}
	endSpan(span, err)
	return err
}

// tracedExecutor begins a span for each statement.
type tracedExecutor struct {
	inner Executor
	about []attribute.KeyValue
}

// start begins the span of a statement that is executed once or for several rows.
func (t tracedExecutor) start(ctx context.Context, query string, rows int) (context.Context, trace.Span) {
	operation, table := summarize(query)
	name := strings.TrimSpace(operation + " " + table)
	attributes := append(slices.Clone(t.about), semconv.DBOperationName(operation), semconv.DBQuerySummary(name))
	if table != "" {
		attributes = append(attributes, semconv.DBCollectionName(table))
	}
	if rows > 1 {
		attributes = append(attributes, semconv.DBOperationBatchSize(rows))
	}
	return telemetry.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// Query implements Executor.
func (t tracedExecutor) Query(ctx context.Context, query string, arguments ...any) (Rows, error) {
	if !telemetry.Recording(ctx) {
		return t.inner.Query(ctx, query, arguments...)
	}
	ctx, span := t.start(ctx, query, 1)
	rows, err := t.inner.Query(ctx, query, arguments...)
	if err != nil {
		endSpan(span, err)
		return nil, err
	}
	return tracedRows{rows, span}, nil
}

// Exec implements Executor.
func (t tracedExecutor) Exec(ctx context.Context, query string, arguments ...any) (changed int64, err error) {
	if !telemetry.Recording(ctx) {
		return t.inner.Exec(ctx, query, arguments...)
	}
	ctx, span := t.start(ctx, query, 1)
	changed, err = t.inner.Exec(ctx, query, arguments...)
	endSpan(span, err)
	return changed, err
}

// tracedRows ends the span of a query when its rows are closed.
type tracedRows struct {
	Rows

	span trace.Span
}

// Close implements Rows.
func (r tracedRows) Close() {
	r.Rows.Close()
	endSpan(r.span, r.Err())
}

// tracedTx is a transaction whose context has a span that is sent.
type tracedTx struct {
	tracedExecutor

	tx    Tx
	later *[]trace.Span // of statements that may wait for the commit, which ends them
}

// ExecAll implements Tx.
func (t tracedTx) ExecAll(ctx context.Context, query string, rows [][]any) (changed int64, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	ctx, span := t.start(ctx, query, len(rows))
	changed, err = t.tx.ExecAll(ctx, query, rows)
	endSpan(span, err)
	return changed, err
}

// ExecLater implements Tx. The statement may wait for the commit, and its span lasts until then: otherwise a statement
// for which the commit waits would seem to take no time.
func (t tracedTx) ExecLater(ctx context.Context, table, query string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	ctx = t.startLater(ctx, query, len(rows))
	return t.tx.ExecLater(ctx, table, query, rows)
}

// startLater begins the span of a statement that may wait for the commit.
func (t tracedTx) startLater(ctx context.Context, query string, rows int) context.Context {
	ctx, span := t.start(ctx, query, rows)
	*t.later = append(*t.later, span)
	return ctx
}

// ExpectLater implements Tx.
func (t tracedTx) ExpectLater(ctx context.Context, query string, arguments []any) error {
	return t.tx.ExpectLater(t.startLater(ctx, query, 1), query, arguments)
}

// InsertLater implements Tx.
func (t tracedTx) InsertLater(ctx context.Context, table Table, rows [][]any, counters ...Counter) error {
	if len(rows) == 0 {
		return nil
	}
	for _, counter := range counters {
		t.startLater(ctx, "INSERT INTO "+counter.Table.Name, len(counter.Rows))
	}
	ctx = t.startLater(ctx, "INSERT INTO "+table.Name, len(rows))
	return t.tx.InsertLater(ctx, table, rows, counters...)
}

// Insert implements Tx.
func (t tracedTx) Insert(ctx context.Context, table Table, rows [][]any) (added []EventKey, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ctx, span := t.start(ctx, "INSERT INTO "+table.Name, len(rows))
	added, err = t.tx.Insert(ctx, table, rows)
	endSpan(span, err)
	return added, err
}

var errorKinds = []telemetry.ErrorKind{
	{Err: store.ErrRejected, Name: "rejected"}, {Err: store.ErrFull, Name: "full"}, {Err: store.ErrMoved, Name: "moved"},
	{Err: context.Canceled, Name: "canceled"}, {Err: context.DeadlineExceeded, Name: "timeout"},
}

// endSpan ends a span with the kind of an error.
func endSpan(span trace.Span, err error) {
	defer span.End()
	if err != nil {
		telemetry.Fail(span, telemetry.KindOf(err, errorKinds, "unavailable"), "")
	}
}

// summarize returns the operation of a statement, and the first table that it names.
func summarize(query string) (operation, table string) {
	words := strings.Fields(query)
	for _, each := range []struct{ operation, before string }{
		{"INSERT", "INTO"}, {"UPDATE", "UPDATE"}, {"DELETE", "FROM"}, {"SELECT", "FROM"},
	} {
		found := false
		for i, word := range words {
			found = found || strings.TrimLeft(word, "(") == each.operation
			if found && word == each.before && i+1 < len(words) && isIdentifier(words[i+1]) {
				return each.operation, words[i+1]
			}
		}
	}
	return strings.ToUpper(words[0]), ""
}

func isIdentifier(word string) bool {
	return strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_") == ""
}
