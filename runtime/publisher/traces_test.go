package publisher

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// The path of a chat line must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	p, m := &Publisher{service: &service{}}, bus.Message{Suffix: bus.MessageLog, ID: "1", Data: []byte("{}")}
	allocated := testing.AllocsPerRun(100, func() {
		m.Span = p.startSend(t.Context(), m)
		p.noteOutage(destination{}, bus.ErrNoReply)
		p.noteRoute()
		endDropped(m, droppedFull)
		endSend(m)
	})
	if allocated != 0 || m.Span != nil {
		t.Errorf("%v allocations, span %v", allocated, m.Span)
	}
}

// storer is a database that works or does not.
type storer struct{ err error }

func (s *storer) Store(context.Context, []bus.Message) error { return s.err }

// setUpTraces turns tracing on for a test. send sends the spans.
func setUpTraces(t *testing.T) (receiver *otlptest.Receiver, send func()) {
	t.Helper()
	receiver = otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	send = func() { provider.Shutdown(context.Background()) }
	t.Cleanup(send)
	return receiver, send
}

// An event for each attempt would fill the memory during an outage, and no receiver would take the spans.
func TestAnOutageIsOneEventOfASpan(t *testing.T) {
	receiver, send := setUpTraces(t)
	store := &storer{errors.New("away")}
	var logged bytes.Buffer
	handler := slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})
	p := New(Options{Store: store, Log: slog.New(telemetry.NewLogHandler(handler))})
	ended, cancel := context.WithCancel(t.Context())
	cancel() // there are no pauses
	p.Publish(t.Context(), bus.MessageLog, "before", struct{}{})
	for range 200 {
		p.sendNext(ended)
	}
	p.Publish(t.Context(), bus.MessageLog, "during", struct{}{})
	store.err = nil
	p.sendNext(ended)
	p.Publish(t.Context(), bus.MessageLog, "after", struct{}{})
	p.sendNext(ended)
	send()

	spans := receiver.Spans()
	if len(spans) != 3 {
		t.Fatalf("spans are %s, want 3", otlptest.Describe(spans))
	}
	for i, want := range []int{1, 1, 0} {
		if events := spans[i].Events; len(events) != want || want > 0 && events[0].Name != notDelivered {
			t.Errorf("message %d: events are %v, want %d", i, events, want)
		}
		if !strings.Contains(logged.String(), `"span_id":"`+spans[i].ID()) {
			t.Errorf("the log has not the span of message %d: %s", i, logged.String())
		}
	}
}

// absentRoute is a route that is not ready until it is.
type absentRoute struct{ isReady bool }

func (r *absentRoute) ready(context.Context, destination) bool { return r.isReady }

func (r *absentRoute) send(_ context.Context, _ destination, batch []bus.Message) (int, error) {
	for _, m := range batch {
		endSend(m)
	}
	return len(batch), nil
}

// The usual outage is one in which nothing is sent, because there is no connection.
func TestAnOutageWithoutARouteIsInTheTrace(t *testing.T) {
	receiver, send := setUpTraces(t)
	waiting := &absentRoute{}
	p := New(Options{Store: &storer{}, Log: slog.New(slog.DiscardHandler)})
	p.routes = []route{waiting}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.Publish(t.Context(), bus.MessageLog, "1", struct{}{})
	for range 3 {
		p.sendNext(ended)
	}
	waiting.isReady = true
	p.sendNext(ended)
	send()

	spans := receiver.Spans()
	if len(spans) != 1 || len(spans[0].Events) != 2 {
		t.Fatalf("spans are %v, want one with two events", spans)
	}
	first, second := spans[0].Events[0], spans[0].Events[1]
	if first.Name != notDelivered || first.Attributes[0].GetValue().GetStringValue() != "not_connected" ||
		second.Name != tryingAgain {
		t.Errorf("events are %v", spans[0].Events)
	}
}

// The spans of thousands of messages that wait would take more memory than the messages.
func TestSpansOfWaitingMessagesAreBounded(t *testing.T) {
	setUpTraces(t)
	p := New(Options{Store: &storer{}, Log: slog.New(slog.DiscardHandler)})
	parent := telemetry.ParseParent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for _, ctx := range []context.Context{t.Context(), trace.ContextWithSpanContext(t.Context(), parent)} {
		for range maxSpans {
			p.Publish(ctx, bus.MessageLog, "1", struct{}{})
		}
	}
	waiting, _ := p.queue.front(2 * maxSpans)
	for i, m := range waiting {
		if own := m.Span != nil && m.Span.IsRecording(); own != (i < maxSpans) {
			t.Fatalf("message %d: has a span of its own: %t", i, own)
		}
	}
	if last := waiting[len(waiting)-1].Span; !last.SpanContext().Equal(parent) {
		t.Errorf("the message would be in the trace %v, want that of its parent", last.SpanContext())
	}
}
