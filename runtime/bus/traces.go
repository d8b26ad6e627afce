package bus

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rosey.dev/rosey/runtime/telemetry"
)

// startRequest begins the span of a request, and adds its context to the headers of m. A bot asks for lines to say, and
// a web page for the state of the channel, every few seconds: that begins no trace, and a line that a bot gets has its
// own.
func startRequest(ctx context.Context, suffix Suffix, m *nats.Msg) (context.Context, trace.Span) {
	if !telemetry.Enabled() || isPolled(suffix) && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, noop.Span{}
	}
	ctx, span := telemetry.Start(ctx, "request "+string(suffix), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeSend,
			semconv.MessagingOperationName("request"), semconv.MessagingDestinationName(m.Subject),
			semconv.MessagingMessageBodySize(len(m.Data))))
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	telemetry.Inject(span.SpanContext(), m.Header)
	return ctx, span
}

func isPolled(suffix Suffix) bool {
	return suffix == OutboundGet || strings.HasPrefix(string(suffix), channelToken+".")
}

// endRequest ends the span of a request with the kind of an error.
func endRequest(span trace.Span, err error) {
	defer span.End()
	if err == nil || !span.IsRecording() {
		return
	}
	telemetry.Fail(span, ErrorKind(err), "")
}

var errorKinds = []telemetry.ErrorKind{
	{Err: ErrNotConnected, Name: "not_connected"}, {Err: ErrNoService, Name: "no_service"},
	{Err: ErrNoReply, Name: "timeout"}, {Err: ErrRequestTooLarge, Name: "too_large"},
	{Err: ErrNotServed, Name: "channel_not_served"}, {Err: ErrNotAService, Name: "not_a_service"},
	{Err: context.Canceled, Name: "canceled"}, {Err: context.DeadlineExceeded, Name: "timeout"},
}

// ErrorKind returns the kind of an error of this package, which is one of a few, for spans.
func ErrorKind(err error) string {
	return telemetry.KindOf(err, errorKinds, semconv.ErrorTypeOther.Value.AsString())
}
