package bus

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// What a process asks every few seconds begins no trace, but is a part of one.
func TestPollsBeginNoTrace(t *testing.T) {
	receiver := otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown(t.Context())
	within, span := telemetry.Start(t.Context(), "page")
	defer span.End()
	for suffix, polled := range map[Suffix]bool{OutboundGet: true, ChannelGet("movies"): true, KVGet: false} {
		_, alone := startRequest(t.Context(), suffix, &nats.Msg{})
		_, part := startRequest(within, suffix, &nats.Msg{})
		if alone.SpanContext().IsValid() == polled || !part.SpanContext().IsValid() {
			t.Errorf("%s: a trace of its own: %v, in another: %v", suffix, alone.SpanContext(), part.SpanContext())
		}
	}
}

// A request must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	m := &nats.Msg{Subject: "rosey.db.kv.get", Data: []byte("{}")}
	allocated := testing.AllocsPerRun(100, func() {
		_, span := startRequest(t.Context(), KVGet, m)
		endRequest(span, ErrNoReply)
	})
	if allocated != 0 || m.Header != nil {
		t.Errorf("%v allocations, headers %v", allocated, m.Header)
	}
}
