package speech

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// saidBefore is the event of a line that an earlier attempt, perhaps of a bot that died, has said in part or whole.
const saidBefore = "said before"

// startSpan begins the span of an attempt at a line, in the trace of the request that has queued the line. The trace
// came with the line out of the database, so that each attempt belongs to it, whichever bot makes it. Each input of the
// line's state machine is an event of the span.
func (s *Speaker) startSpan(l *line, m bus.OutboundMessage) {
	l.span = nil
	if !telemetry.Enabled() {
		return
	}
	parent := telemetry.ParseParent(m.TraceParent)
	if !parent.IsSampled() {
		return
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), parent)
	_, l.span = telemetry.Start(ctx, "send chatMsg", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("cytube"), semconv.MessagingOperationTypeSend,
		semconv.MessagingOperationName("send"), semconv.MessagingDestinationName(s.Origin.Channel),
		attribute.Int64("rosey.outbound.id", m.ID), attribute.Int("rosey.outbound.retry_count", m.RetryCount),
	))
	if l.next > 0 || l.state == said {
		l.span.AddEvent(saidBefore)
	}
}

// spanContext returns a context with the span of the line's latest attempt, for its report.
func (l *line) spanContext() context.Context {
	return telemetry.ContextWith(context.Background(), l.span)
}

// endSpan ends the span of an attempt.
func (l *line) endSpan(outcome Outcome) {
	if l.span == nil {
		return
	}
	if outcome != Said {
		telemetry.Fail(l.span, string(outcome), "not said")
	}
	l.span.End()
}
