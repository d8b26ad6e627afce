package publisher

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// maxSpans bounds the spans of the messages that wait: each takes about 1 KiB, beside the messages.
const maxSpans = 2048

// Events of the span of a message.
const (
	notDelivered = "not delivered"
	tryingAgain  = "trying again"
)

// startSend begins the span of a message: from here until it is confirmed, stored or dropped. It returns nil while
// tracing is off, and only the identity of ctx's span if that is not sent, or if too many messages wait.
func (p *Publisher) startSend(ctx context.Context, m bus.Message) trace.Span {
	if !telemetry.Enabled() {
		return nil
	}
	parent := trace.SpanContextFromContext(ctx)
	if parent.IsValid() && !parent.IsSampled() {
		return trace.SpanFromContext(ctx)
	}
	if p.queue.len() >= maxSpans {
		return identityOf(ctx)
	}
	attributes := []attribute.KeyValue{
		semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
		semconv.MessagingMessageID(m.ID), semconv.MessagingMessageBodySize(len(m.Data)),
	}
	if p.service != nil {
		attributes = append(attributes, semconv.MessagingSystemKey.String("nats"),
			semconv.MessagingDestinationName(p.subjects.Subject(m.Suffix)))
	}
	_, span := telemetry.Start(ctx, "send "+string(m.Suffix), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attributes...))
	if during := p.outage.Load(); during != nil {
		span.AddEvent(notDelivered, during.kind)
	}
	return span
}

// identityOf returns a span that only identifies that of ctx, or nil if there is none.
func identityOf(ctx context.Context) trace.Span {
	parent := trace.SpanContextFromContext(ctx)
	if !parent.IsValid() {
		return nil
	}
	return trace.SpanFromContext(trace.ContextWithSpanContext(ctx, parent))
}

// endSend ends the span of a message that was delivered.
func endSend(m bus.Message) {
	if m.Span != nil {
		m.Span.End()
	}
}

// endDropped ends the span of a message that is dropped.
func endDropped(m bus.Message, reason string) {
	if m.Span == nil {
		return
	}
	telemetry.Fail(m.Span, reason, "dropped")
	m.Span.End()
}

// outage is a time in which nothing is delivered.
type outage struct {
	kind trace.EventOption
	// unrouted means that there has been no route since it began. Only Run uses it.
	unrouted bool
}

// noteOutage records in the spans of all messages that wait, and of those that follow, that they cannot be delivered.
// It does so when that begins: with an event for each attempt, an outage would fill the memory, and requests so large
// that no receiver takes them. err is nil if there is no route.
func (p *Publisher) noteOutage(to destination, err error) {
	if !telemetry.Enabled() || p.outage.Load() != nil {
		return
	}
	unrouted := err == nil
	switch {
	case !unrouted:
	case to.err != nil:
		err = to.err
	case !p.service.conn.Connected(): // without a binding nobody has said so
		err = bus.ErrNotConnected
	case p.service.refuses():
		err = bus.ErrNotServed
	default:
		err = bus.ErrNoService
	}
	began := &outage{trace.WithAttributes(semconv.ErrorTypeKey.String(bus.ErrorKind(err))), unrouted}
	p.outage.Store(began)
	p.queue.each(func(m bus.Message) { addEvent(m, notDelivered, began.kind) })
}

// noteRoute records in the spans of all messages that wait that there is a route again.
func (p *Publisher) noteRoute() {
	if during := p.outage.Load(); during != nil && during.unrouted {
		during.unrouted = false
		p.queue.each(func(m bus.Message) { addEvent(m, tryingAgain) })
	}
}

func addEvent(m bus.Message, name string, options ...trace.EventOption) {
	if m.Span != nil {
		m.Span.AddEvent(name, options...)
	}
}
