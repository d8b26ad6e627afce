package telemetry

import (
	"slices"
	"sync/atomic"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
)

// DeferredLogger returns a logger for one piece of work, such as a reconcile: its lines have trace_id and span_id from
// when the span begins that Defer defers with the logger in its context. NewLogHandler cannot add them: a logr.Logger
// does not pass the context of a call on, and controller-runtime logs the error of a reconcile after the reconcile.
func DeferredLogger(inner logr.Logger) logr.Logger {
	if !Enabled() || inner.GetSink() == nil {
		return inner
	}
	return inner.WithSink(deferredSink{inner.GetSink(), &atomic.Pointer[trace.SpanContext]{}})
}

// deferredSink adds the IDs of a span, which is nil until it begins. Sinks that are derived from it have the same span.
type deferredSink struct {
	logr.LogSink

	span *atomic.Pointer[trace.SpanContext]
}

// Info implements logr.LogSink.
func (s deferredSink) Info(level int, message string, keysAndValues ...any) {
	s.LogSink.Info(level, message, s.identify(keysAndValues)...)
}

// Error implements logr.LogSink.
func (s deferredSink) Error(err error, message string, keysAndValues ...any) {
	s.LogSink.Error(err, message, s.identify(keysAndValues)...)
}

func (s deferredSink) identify(keysAndValues []any) []any {
	span := s.span.Load()
	if span == nil {
		return keysAndValues
	}
	return append(slices.Clip(keysAndValues),
		traceIDKey, span.TraceID().String(), spanIDKey, span.SpanID().String())
}

// WithValues implements logr.LogSink.
func (s deferredSink) WithValues(keysAndValues ...any) logr.LogSink {
	return deferredSink{s.LogSink.WithValues(keysAndValues...), s.span}
}

// WithName implements logr.LogSink.
func (s deferredSink) WithName(name string) logr.LogSink {
	return deferredSink{s.LogSink.WithName(name), s.span}
}
