package database

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/telemetry"
)

var systemNATS = semconv.MessagingSystemKey.String("nats")

// publishersSpan returns the span of a publisher that the headers of a message name, or nil.
func publishersSpan(header nats.Header) trace.Span {
	if !telemetry.Enabled() {
		return nil
	}
	publishers := telemetry.Extract(header)
	if !publishers.IsValid() {
		return nil
	}
	return trace.SpanFromContext(trace.ContextWithRemoteSpanContext(context.Background(), publishers))
}

// startBatch begins the span of a batch. It is a part of the trace of the first message whose publisher has decided to
// send it, and linked to every one: then the usual batch, of one message, is in the trace of its message. If no message
// says anything about a trace, as those of the Python bot, a trace begins. subjects are nil if the batch did not come
// over NATS.
func startBatch(ctx context.Context, subjects *bus.Subjects, messages []bus.Message) (context.Context, trace.Span) {
	if !telemetry.Enabled() {
		return ctx, noop.Span{}
	}
	parent, links := tracesOf(messages)
	switch {
	case parent == nil && slices.ContainsFunc(messages, func(m bus.Message) bool { return m.Span != nil }):
		return ctx, noop.Span{} // their publishers have decided not to send them
	case parent != nil:
		ctx = trace.ContextWithSpan(ctx, parent)
	}
	name, attributes := "process", []attribute.KeyValue{
		semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
		semconv.MessagingBatchMessageCount(len(messages)),
	}
	suffix := commonSuffix(messages)
	if suffix != "" {
		name += " " + string(suffix)
	}
	if subjects != nil {
		attributes = append(attributes, systemNATS)
	}
	if subjects != nil && suffix != "" {
		attributes = append(attributes, semconv.MessagingDestinationName(subjects.Subject(suffix)))
	}
	return telemetry.Start(ctx, name, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...),
		trace.WithAttributes(attributes...))
}

// tracesOf returns the spans of messages whose publishers have decided to send them: the first one, and a link to each.
func tracesOf(messages []bus.Message) (first trace.Span, links []trace.Link) {
	for i := range messages {
		span := messages[i].Span
		if span == nil || !span.SpanContext().IsSampled() {
			continue
		}
		if first == nil {
			first = span
		}
		links = append(links, trace.Link{SpanContext: span.SpanContext()})
	}
	return first, links
}

// commonSuffix returns the suffix that all messages have, or "".
func commonSuffix(messages []bus.Message) bus.Suffix {
	for i := range messages {
		if messages[i].Suffix != messages[0].Suffix {
			return ""
		}
	}
	return messages[0].Suffix
}

// startSettle begins the span of the acknowledgement of a batch, unless the stream has delivered nothing of it.
func startSettle(ctx context.Context, events []arrival) trace.Span {
	if !telemetry.Recording(ctx) {
		return noop.Span{}
	}
	count := 0
	for i := range events {
		if events[i].inFlight != nil {
			count++
		}
	}
	if count == 0 {
		return noop.Span{}
	}
	_, span := telemetry.Start(ctx, "ack", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(systemNATS,
		semconv.MessagingOperationTypeSettle, semconv.MessagingOperationName("ack"),
		semconv.MessagingBatchMessageCount(count)))
	return span
}

// startAnswer begins the span of a request, when it arrived. A request for lines to say is traced only if its client
// traces it: a bot sends one every few seconds.
func startAnswer(ctx context.Context, subjects bus.Subjects, request bus.Message) (context.Context, trace.Span) {
	if !telemetry.Enabled() || request.Span == nil && request.Suffix == bus.OutboundGet {
		return ctx, noop.Span{}
	}
	if request.Span != nil {
		ctx = trace.ContextWithSpan(ctx, request.Span)
	}
	return telemetry.Start(ctx, "process "+string(request.Suffix), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(request.Time), trace.WithAttributes(systemNATS, semconv.MessagingOperationTypeProcess,
			semconv.MessagingOperationName("process"), semconv.MessagingDestinationName(subjects.Subject(request.Suffix)),
			semconv.MessagingMessageBodySize(len(request.Data))))
}

// answerFailure is why a request was not answered as its client wishes, for its span.
type answerFailure string

const (
	answerRefused   answerFailure = "refused" // bad input, or a limit
	answerNotServed answerFailure = "channel_not_served"
	answerFailed    answerFailure = "failed"
	answerNotSent   answerFailure = "reply_not_sent"
)

// answerFailureOf returns "" for a request that was answered.
func answerFailureOf(refused bool, err error) answerFailure {
	switch {
	case errors.Is(err, errNotServed):
		return answerNotServed
	case err != nil:
		return answerFailed
	case refused:
		return answerRefused
	}
	return ""
}

// endAnswer ends the span of a request. A mistake of its client is no error of the service.
func endAnswer(span trace.Span, failure answerFailure) {
	if failure != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(failure)))
	}
	if failure == answerFailed || failure == answerNotSent {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// traceDeadLetter adds to the trace of a message that it has become a dead letter.
func traceDeadLetter(ctx context.Context, m *bus.Message, reason error) {
	if !telemetry.Enabled() || m.Span == nil || !m.Span.SpanContext().IsSampled() {
		return
	}
	kind := "invalid"
	if errors.Is(reason, store.ErrRejected) {
		kind = "rejected"
	}
	_, span := telemetry.Start(trace.ContextWithSpan(ctx, m.Span), "dead letter")
	telemetry.Fail(span, kind, "")
	span.End()
}

// noteBackoff records in the span of ctx that the store failed and is tried again.
func noteBackoff(ctx context.Context, err error) {
	if telemetry.Recording(ctx) {
		trace.SpanFromContext(ctx).AddEvent("the store failed, trying again",
			trace.WithAttributes(semconv.ErrorTypeKey.String(string(storeReason(err)))))
	}
}

// traceParent returns what is stored with an outbound line, so that its way into the channel belongs to the trace of
// the request, whichever bot says it, and when.
func traceParent(ctx context.Context) string {
	if !telemetry.Recording(ctx) {
		return ""
	}
	return telemetry.FormatParent(trace.SpanContextFromContext(ctx))
}

// traceClaims adds to the traces of outbound lines that they were handed out to a bot.
func traceClaims(r Request, lines []bus.OutboundMessage) {
	if !telemetry.Enabled() {
		return
	}
	for _, line := range lines {
		parent := telemetry.ParseParent(line.TraceParent)
		if !parent.IsSampled() {
			continue
		}
		ctx := trace.ContextWithRemoteSpanContext(context.Background(), parent)
		_, span := telemetry.Start(ctx, "claim", trace.WithTimestamp(r.Time), trace.WithAttributes(
			attribute.Int64("rosey.outbound.id", line.ID), attribute.Int("rosey.outbound.retry_count", line.RetryCount)))
		span.End()
	}
}
