package telemetry

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Deferred is a span that begins when something is done for which it is the parent, with the time at which it was
// deferred: work that finds nothing to do is not traced. One goroutine uses it. A nil Deferred never begins.
type Deferred struct {
	name       string
	started    time.Time
	attributes []attribute.KeyValue
	span       trace.Span
	log        logr.Logger // that of the context, which may be a DeferredLogger
}

type deferredKey struct{}

// Defer returns a context with a span that Begin begins. While tracing is off, it returns ctx and nil, and does not
// call attributes.
func Defer(
	ctx context.Context, name string, attributes func() []attribute.KeyValue,
) (context.Context, *Deferred) {
	if !Enabled() {
		return ctx, nil
	}
	deferred := &Deferred{
		name: name, started: time.Now(), attributes: attributes(), log: logr.FromContextOrDiscard(ctx),
	}
	return context.WithValue(ctx, deferredKey{}, deferred), deferred
}

// Begin returns the current span of ctx. It begins the deferred one if there is one that has not begun.
func Begin(ctx context.Context) trace.SpanContext {
	if !Enabled() {
		return trace.SpanContext{}
	}
	deferred, _ := ctx.Value(deferredKey{}).(*Deferred)
	if current := trace.SpanContextFromContext(ctx); current.IsValid() || deferred == nil {
		return current
	}
	if deferred.span == nil {
		_, deferred.span = Start(ctx, deferred.name,
			trace.WithTimestamp(deferred.started), trace.WithAttributes(deferred.attributes...))
		span := deferred.span.SpanContext()
		if sink, ok := deferred.log.GetSink().(deferredSink); ok && span.IsSampled() {
			sink.span.Store(&span)
		}
	}
	return deferred.span.SpanContext()
}

// End ends the span if it has begun. failure is the kind of error with which its work has failed, one of a few, and
// empty if it has not.
func (d *Deferred) End(failure string) {
	if d == nil || d.span == nil {
		return
	}
	if failure != "" {
		Fail(d.span, failure, "")
	}
	d.span.End()
}
