package bot

import (
	"context"
	"slices"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/telemetry"
)

// receiveOptions are the same for every event of a channel.
func (b *Bot) receiveOptions() []trace.SpanStartOption {
	return []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("cytube"), semconv.MessagingOperationTypeReceive,
			semconv.MessagingOperationName("receive"), semconv.MessagingDestinationName(b.config.Channel.Name),
		),
	}
}

// startReceive begins the trace of an event, at the time at which its frame was read. What the event makes the bot
// publish belongs to it. Only events about people who chat, join and leave have a trace: the server sends others every
// few seconds, and they change no row.
func (s *session) startReceive(ctx context.Context, received cytube.ReceivedEvent) (context.Context, trace.Span) {
	if !telemetry.Enabled() {
		return ctx, noop.Span{}
	}
	var name string
	switch received.Event.(type) {
	case cytube.ChatMessage:
		name = "receive chatMsg"
	case cytube.AddUser:
		name = "receive addUser"
	case cytube.UserLeave:
		name = "receive userLeave"
	default:
		return ctx, noop.Span{}
	}
	options := append(slices.Clip(s.receiveOptions), trace.WithTimestamp(received.At))
	return telemetry.Start(ctx, name, options...)
}
