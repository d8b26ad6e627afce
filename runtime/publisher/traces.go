package publisher

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// startSend begins the span of a message: from here until it is confirmed, stored or dropped. It returns nil while
// tracing is off, and only the identity of ctx's span if that is not sent.
func (p *Publisher) startSend(ctx context.Context, m bus.Message) trace.Span {
	if !telemetry.Enabled() {
		return nil
	}
	if parent := trace.SpanFromContext(ctx); parent.SpanContext().IsValid() && !parent.SpanContext().IsSampled() {
		return parent
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
	return span
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
	m.Span.SetAttributes(semconv.ErrorTypeKey.String(reason))
	m.Span.SetStatus(codes.Error, "dropped")
	m.Span.End()
}

// noteFailure records in the spans of messages that they could not be delivered and are tried again.
func noteFailure(messages []bus.Message, err error) {
	if !telemetry.Enabled() {
		return
	}
	event := trace.WithAttributes(semconv.ErrorTypeKey.String(bus.ErrorKind(err)))
	for _, m := range messages {
		if m.Span != nil && m.Span.IsRecording() {
			m.Span.AddEvent("not delivered, trying again", event)
		}
	}
}
