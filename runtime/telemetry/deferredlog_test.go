package telemetry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/attribute"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// A reconcile's lines have its trace from when it has one, also those of loggers that were derived before, and no line
// has the trace of another reconcile.
func TestLinesOfDeferredSpansHaveTheirTrace(t *testing.T) {
	setUp(t, telemetry.Settings{Endpoint: otlptest.HTTP(t).URL, Protocol: config.OTLPHTTP})
	var log bytes.Buffer
	lines := func() string { defer log.Reset(); return log.String() }
	shared := logr.FromSlogHandler(slog.NewTextHandler(&log, nil))
	none := func() []attribute.KeyValue { return nil }

	logger := telemetry.DeferredLogger(shared).WithValues("reconcileID", 1)
	ctx, span := telemetry.Defer(logr.NewContext(t.Context(), logger), "work", none)
	logger.Info("nothing is done yet")
	if got := lines(); strings.Contains(got, "trace_id") {
		t.Error(got)
	}
	identity := telemetry.Begin(ctx)
	want := "trace_id=" + identity.TraceID().String() + " span_id=" + identity.SpanID().String()
	logger.Info("done", "a", "b")
	span.End("conflict")
	logger.WithName("named").Error(errors.New("conflict"), "the work failed")
	if got := lines(); strings.Count(got, want) != 2 || strings.Count(got, "reconcileID=1") != 2 {
		t.Errorf("%s, want %s", got, want)
	}
	telemetry.DeferredLogger(shared).Info("another one")
	if got := lines(); strings.Contains(got, "trace_id") {
		t.Error(got)
	}
}
