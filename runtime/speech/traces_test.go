package speech

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// A line to say must cost nothing while nobody traces, even if whoever has queued it does.
func TestTracesOffAllocateNothing(t *testing.T) {
	s, l := &Speaker{}, &line{}
	m := bus.OutboundMessage{TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	allocated := testing.AllocsPerRun(100, func() {
		s.startSpan(l, m)
		_ = l.spanContext()
		l.endSpan(Gone)
	})
	if allocated != 0 || l.span != nil {
		t.Errorf("%v allocations, span %v", allocated, l.span)
	}
}

// TestAttemptsOfTwoBotsAreInOneTrace has a bot die after it has sent a line, and another one say the line: the trace
// comes with the line, so that both belong to the request that has queued it.
func TestAttemptsOfTwoBotsAreInOneTrace(t *testing.T) {
	receiver := otlptest.HTTP(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown(t.Context())
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	m := bus.OutboundMessage{ID: 7, Message: "plugh", TraceParent: "00-" + trace + "-" + parent + "-01"}
	for _, outcome := range []Outcome{Gone, Said} {
		s, l := &Speaker{}, newLine(m, newMaxLength(0))
		s.startSpan(l, m)
		l.on(handedOut)
		l.on(sent)
		l.endSpan(outcome)
	}
	spans := receiver.Await(t, "both attempts", func(spans []otlptest.Span) bool { return len(spans) == 2 })
	for _, span := range spans {
		if span.Trace() != trace || span.Parent() != parent || span.Attribute("rosey.outbound.id") != int64(7) {
			t.Errorf("trace %s, parent %s, attributes %v", span.Trace(), span.Parent(), span.Attributes)
		}
	}
	untraced := &line{state: queued}
	(&Speaker{}).startSpan(untraced, bus.OutboundMessage{})
	if untraced.on(handedOut); untraced.span != nil {
		t.Error("a line without a trace has a span")
	}
}
