package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
	"rosey.dev/rosey/test/logtest"
)

// tracing is the tracing of a test.
type tracing struct {
	*telemetry.Provider

	registry *prometheus.Registry
	log      *logtest.Buffer
}

// setUp turns tracing on for a test, with short pauses between exports.
func setUp(t *testing.T, settings telemetry.Settings) tracing {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	return setUpAsIs(t, settings)
}

// setUpAsIs turns tracing on for a test, with the pauses of the environment.
func setUpAsIs(t *testing.T, settings telemetry.Settings) tracing {
	t.Helper()
	got := tracing{registry: prometheus.NewRegistry(), log: &logtest.Buffer{}}
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: settings, Service: "test", Log: slog.New(slog.NewTextHandler(got.log, nil)), Registerer: got.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	got.Provider = provider
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // what a test has not waited for is not sent
		provider.Shutdown(ended)
	})
	return got
}

func (tr tracing) count(t *testing.T, outcome string) float64 {
	t.Helper()
	families, err := tr.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.Metric {
			if family.GetName() == "rosey_telemetry_spans_total" && metric.Label[0].GetValue() == outcome {
				return metric.Counter.GetValue()
			}
		}
	}
	t.Fatalf("no metric for %s", outcome)
	return 0
}

func say(name string) {
	_, span := telemetry.Start(context.Background(), name)
	span.End()
}

func has(name string) func([]otlptest.Span) bool {
	return func(spans []otlptest.Span) bool {
		for _, span := range spans {
			if span.Name == name {
				return true
			}
		}
		return false
	}
}

// TestSpansArriveWithHeadersThatRotate sends spans by both protocols, with headers from a file that is replaced between
// two exports.
func TestSpansArriveWithHeadersThatRotate(t *testing.T) {
	for protocol, start := range map[string]func(testing.TB) *otlptest.Receiver{
		config.OTLPGRPC: otlptest.GRPC, config.OTLPHTTP: otlptest.HTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			receiver, file := start(t), filepath.Join(t.TempDir(), "headers")
			tracing := setUp(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: protocol, HeadersFile: file})
			for _, secret := range []string{"first", "second"} {
				if err := os.WriteFile(file, []byte("X-Token=Bearer%20"+secret+"\nx-other=1,"), 0o600); err != nil {
					t.Fatal(err)
				}
				say(secret)
				receiver.Await(t, secret, has(secret))
				all := receiver.Headers()
				last := all[len(all)-1]
				if got := last["x-token"] + last["X-Token"]; got != "Bearer "+secret {
					t.Errorf("header x-token: %q, want %q", got, "Bearer "+secret)
				}
			}
			if span := receiver.Spans()[0]; span.Service != "test" {
				t.Errorf("service.name: %q, want test", span.Service)
			}
			if text := tracing.log.String(); strings.Contains(text, "Bearer") {
				t.Errorf("the log has a header's value: %s", text)
			}
		})
	}
}

// TestFailingReceiverIsCountedAndLoggedOnce covers a receiver that refuses, and later does not.
func TestFailingReceiverIsCountedAndLoggedOnce(t *testing.T) {
	receiver := otlptest.HTTP(t)
	receiver.AnswerWith(func(context.Context) error { return errors.New("no\x1b[31m\nmore") })
	tracing := setUp(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: config.OTLPHTTP})
	for range 3 {
		before := len(receiver.Headers())
		say("refused")
		receiver.Await(t, "a request", func([]otlptest.Span) bool { return len(receiver.Headers()) > before })
	}
	receiver.AnswerWith(func(context.Context) error { return nil })
	say("taken")
	receiver.Await(t, "a span", has("taken"))
	tracing.Shutdown(t.Context())
	if failed, exported := tracing.count(t, "failed"), tracing.count(t, "exported"); failed != 3 || exported != 1 {
		t.Errorf("failed %v, exported %v; want 3 and 1", failed, exported)
	}
	text := tracing.log.String()
	if strings.Count(text, "traces cannot be sent") != 1 || strings.Count(text, "traces are sent again") != 1 {
		t.Errorf("the log says it more or less than once:\n%s", text)
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, `\x1b`) {
		t.Errorf("the log has a control character of the receiver:\n%s", text)
	}
}

// TestReceiverThatHangsDelaysNobody ends more spans than may wait, and then the process, while the receiver does not
// answer.
func TestReceiverThatHangsDelaysNobody(t *testing.T) {
	for protocol, start := range map[string]func(testing.TB) *otlptest.Receiver{
		config.OTLPGRPC: otlptest.GRPC, config.OTLPHTTP: otlptest.HTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
			receiver := start(t)
			asked := make(chan struct{}, 100)
			receiver.AnswerWith(func(ctx context.Context) error {
				asked <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			})
			tracing := setUp(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: protocol})
			say("first")
			<-asked
			for range 10 {
				say("others")
			}
			if dropped := tracing.count(t, "dropped"); dropped != 7 {
				t.Errorf("dropped %v, want 7 of 11 with room for 4", dropped)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel() // as if the two seconds were over
			tracing.Shutdown(ended)
			if failed := tracing.count(t, "failed"); failed != 4 {
				t.Errorf("failed %v, want 4", failed)
			}
		})
	}
}

func TestOffWithoutEndpoint(t *testing.T) {
	registry := prometheus.NewRegistry()
	provider, err := telemetry.Setup(telemetry.Options{Log: slog.New(slog.DiscardHandler), Registerer: registry})
	if err != nil || provider.Enabled() || telemetry.Enabled() {
		t.Fatalf("on %v, error %v; want off", provider.Enabled(), err)
	}
	provider.Shutdown(t.Context())
	if count, _ := testutil.GatherAndCount(registry); count != 3 {
		t.Errorf("%d series, want all three from the start", count)
	}
	header := map[string][]string{"traceparent": {parent}}
	allocated := testing.AllocsPerRun(100, func() {
		ctx, span := telemetry.Start(context.Background(), "nothing")
		telemetry.Inject(span.SpanContext(), header)
		telemetry.Extract(header)
		span.SetName("other")
		span.End()
		_ = telemetry.Recording(ctx)
	})
	if allocated != 0 {
		t.Errorf("%v allocations while tracing is off", allocated)
	}
}

// TestHeadersFileIsNeverQuoted covers what is wrong with a file of headers.
func TestHeadersFileIsNeverQuoted(t *testing.T) {
	var many strings.Builder
	for i := range 100 {
		many.WriteString("h" + strings.Repeat("x", i) + "=topsecret\n")
	}
	for name, content := range map[string]string{
		"empty": "", "no pair": "topsecret", "bad name": "a b=topsecret", "bad escape": "a=%zztopsecret",
		"control character": "a=%0atopsecret", "too many": many.String(), "huge": strings.Repeat("a", 1<<17),
	} {
		t.Run(name, func(t *testing.T) {
			receiver, file := otlptest.GRPC(t), filepath.Join(t.TempDir(), "headers")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			settings := telemetry.Settings{Endpoint: receiver.URL, Protocol: config.OTLPGRPC, HeadersFile: file}
			tracing := setUp(t, settings)
			say("unsent")
			tracing.Shutdown(t.Context())
			text := tracing.log.String()
			if !strings.Contains(text, "headers file "+file) || strings.Contains(text, "topsecret") {
				t.Errorf("the log does not name the file, or quotes it:\n%s", text)
			}
			if len(receiver.Spans()) > 0 {
				t.Error("spans were sent without their headers")
			}
		})
	}
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestContextOfStrangersIsBounded(t *testing.T) {
	setUp(t, telemetry.Settings{Endpoint: "http://127.0.0.1:1"})
	long := strings.Repeat("x", 1<<20)
	for name, header := range map[string]map[string][]string{
		"none": {}, "empty": {"traceparent": {""}}, "two": {"traceparent": {parent, parent}},
		"huge":       {"traceparent": {parent + long}},
		"garbage":    {"traceparent": {"\x00\xff"}},
		"zeros":      {"traceparent": {"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01"}},
		"upper case": {"traceparent": {strings.ToUpper(parent)}}, "version ff": {"traceparent": {"ff" + parent[2:]}},
		"appended": {"traceparent": {parent + "-x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := telemetry.Extract(header); got.IsValid() {
				t.Errorf("got %v, want none", got)
			}
		})
	}
	for _, name := range []string{"traceparent", "Traceparent"} {
		got := telemetry.Extract(map[string][]string{name: {parent}, "tracestate": {"a=" + long}, "baggage": {long}})
		if telemetry.FormatParent(got) != parent || !got.IsRemote() || got.TraceState().Len() > 0 {
			t.Errorf("got %v, want the parent without its state", got)
		}
	}
	kept := telemetry.Extract(map[string][]string{"traceparent": {parent}, "tracestate": {"a=b"}})
	header := map[string][]string{}
	telemetry.Inject(kept, header)
	if header["traceparent"][0] != parent || header["tracestate"][0] != "a=b" {
		t.Errorf("injected %v", header)
	}
}

// TestStrangersCannotForceTraces begins more traces than a stranger may have sent in a second.
func TestStrangersCannotForceTraces(t *testing.T) {
	zero := 0.0
	setUp(t, telemetry.Settings{Endpoint: "http://127.0.0.1:1", SamplingRatio: &zero})
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), telemetry.ParseParent(parent))
	sampled := 0
	for range 5000 {
		_, span := telemetry.Start(ctx, "forced")
		if span.SpanContext().IsSampled() {
			sampled++
		}
		span.End()
	}
	if sampled == 0 || sampled > 1500 {
		t.Errorf("%d of 5000 were sampled, want some hundreds", sampled)
	}
}

func TestLogHasTheSpan(t *testing.T) {
	setUp(t, telemetry.Settings{Endpoint: "http://127.0.0.1:1"})
	var out bytes.Buffer
	logger := slog.New(telemetry.NewLogHandler(slog.NewTextHandler(&out, nil))).With("component", "test")
	ctx, span := telemetry.Start(context.Background(), "work")
	defer span.End()
	logger.InfoContext(ctx, "inside")
	id := span.SpanContext()
	want := "trace_id=" + id.TraceID().String() + " span_id=" + id.SpanID().String()
	if !strings.Contains(out.String(), want) {
		t.Errorf("log %q, want %q", out.String(), want)
	}
	out.Reset()
	logger.Info("outside")
	if strings.Contains(out.String(), "trace_id") {
		t.Errorf("log %q, want no trace_id", out.String())
	}
}
