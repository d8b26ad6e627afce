package relational_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// idle is a database that does nothing.
type idle struct{ relational.Database }

func (idle) Query(context.Context, string, ...any) (relational.Rows, error) {
	return nil, nil //nolint:nilnil // nobody reads them
}

func (idle) Write(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	return work(ctx, nothing{})
}

type nothing struct{ relational.Tx }

func (nothing) ExecAll(context.Context, string, [][]any) (int64, error) { return 0, nil }

func (nothing) ExecLater(context.Context, string, string, [][]any) error { return nil }

var rows = [][]any{{1}}

// work executes a statement at once after one that may wait for the commit.
func work(ctx context.Context, tx relational.Tx) error {
	if err := tx.ExecLater(ctx, "users", "UPDATE users SET a = 1", rows); err != nil {
		return err
	}
	_, err := tx.ExecAll(ctx, "UPDATE chat SET a = 1", rows)
	return err
}

// A statement must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	db, ctx := relational.Traced(idle{}, semconv.DBSystemNameSQLite), t.Context()
	allocated := testing.AllocsPerRun(100, func() {
		_, _ = db.Query(ctx, "SELECT 1")
		_ = db.Write(ctx, work)
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// A statement for which the commit waits would otherwise seem to take no time.
func TestSpanOfAStatementLastsUntilItIsDone(t *testing.T) {
	receiver := otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown(context.Background())
	ctx, parent := telemetry.Start(t.Context(), "batch")
	db := relational.Traced(idle{}, semconv.DBSystemNamePostgreSQL, semconv.DBNamespace("rosey"))
	if err := db.Write(ctx, work); err != nil {
		t.Fatal(err)
	}
	parent.End()
	provider.Shutdown(context.Background())

	var names []string
	for _, span := range receiver.Spans() { // as they ended
		names = append(names, span.Name)
		if span.Name != "batch" &&
			(span.Attribute("db.system.name") != "postgresql" || span.Attribute("db.namespace") != "rosey") {
			t.Errorf("%s: attributes are %v", span.Name, span.Attributes)
		}
	}
	if len(names) != 4 || names[0] != "UPDATE chat" || names[1] != "UPDATE users" || names[2] != "transaction" {
		t.Errorf("spans ended in the order %q, want the statement that waits at the end of the transaction", names)
	}
}
