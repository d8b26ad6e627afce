package database

import (
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// The path of a chat line must cost nothing while nobody traces, even if its publisher does.
func TestTracesOffAllocateNothing(t *testing.T) {
	header := nats.Header{telemetry.ParentHeader: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	messages, lines, subjects := make([]bus.Message, 1), make([]bus.OutboundMessage, 1), bus.Subjects{}
	allocated := testing.AllocsPerRun(100, func() {
		messages[0].Span = publishersSpan(header)
		ctx, span := startBatch(t.Context(), &subjects, messages)
		noteBackoff(ctx, bus.ErrNoReply)
		startSettle(ctx, nil).End()
		span.End()
		ctx, span = startAnswer(ctx, subjects, messages[0])
		_ = traceParent(ctx)
		traceClaims(Request{}, lines)
		traceDeadLetter(ctx, &messages[0], errInvalid)
		endAnswer(span, "")
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
