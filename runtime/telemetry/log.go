package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// The keys of what lines of the log have where a span is current.
const (
	traceIDKey = "trace_id"
	spanIDKey  = "span_id"
)

// NewLogHandler returns a handler that adds trace_id and span_id to the records of calls whose context has a span that
// is sent, and passes all records on.
func NewLogHandler(inner slog.Handler) slog.Handler { return logHandler{inner} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, record slog.Record) error {
	if Enabled() {
		if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
			record = record.Clone()
			record.AddAttrs(
				slog.String(traceIDKey, span.TraceID().String()), slog.String(spanIDKey, span.SpanID().String()))
		}
	}
	return h.Handler.Handle(ctx, record) //nolint:wrapcheck // it is the handler's error
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
