package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rosey.dev/rosey/runtime/telemetry"
)

// startRequest begins the span of a request, and adds its context to the headers of m. A bot asks for lines to say
// every few seconds: that begins no trace, and a line that it gets has its own.
func startRequest(ctx context.Context, suffix Suffix, m *nats.Msg) (context.Context, trace.Span) {
	if !telemetry.Enabled() || suffix == OutboundGet && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, noop.Span{}
	}
	ctx, span := telemetry.Start(ctx, "request "+string(suffix), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeSend,
			semconv.MessagingOperationName("request"), semconv.MessagingDestinationName(m.Subject),
			semconv.MessagingMessageBodySize(len(m.Data))))
	m.Header = nats.Header{}
	telemetry.Inject(span.SpanContext(), m.Header)
	return ctx, span
}

// endRequest ends the span of a request with the kind of an error.
func endRequest(span trace.Span, err error) {
	defer span.End()
	if err == nil || !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(ErrorKind(err)))
	span.SetStatus(codes.Error, "")
}

// ErrorKind returns the kind of an error of this package, which is one of a few, for spans.
func ErrorKind(err error) string {
	for _, known := range []struct {
		err  error
		kind string
	}{
		{ErrNotConnected, "not_connected"}, {ErrNoService, "no_service"}, {ErrNoReply, "timeout"},
		{ErrRequestTooLarge, "too_large"}, {ErrNotServed, "channel_not_served"}, {ErrNotAService, "not_a_service"},
		{context.Canceled, "canceled"}, {context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, known.err) {
			return known.kind
		}
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
