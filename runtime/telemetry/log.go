package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/status"
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

// NewJSONLogger returns a logger for a process that runs in a cluster: JSON from a level on, with the spans of its
// lines.
func NewJSONLogger(out io.Writer, level string) *slog.Logger {
	return slog.New(NewLogHandler(slog.NewJSONHandler(status.JSONWriter(out), logOptions(level))))
}

// NewTextLogger is NewJSONLogger for a process that a person starts in a terminal: plain text.
func NewTextLogger(out io.Writer, level string) *slog.Logger {
	return slog.New(NewLogHandler(slog.NewTextHandler(out, logOptions(level))))
}

func logOptions(level string) *slog.HandlerOptions {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil { // impossible: the configuration has been validated
		threshold = slog.LevelInfo
	}
	return &slog.HandlerOptions{Level: threshold}
}
