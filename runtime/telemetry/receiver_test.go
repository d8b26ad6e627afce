package telemetry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// protocols are functions that start a receiver of each protocol.
var protocols = map[string]func(testing.TB) *otlptest.Receiver{
	config.OTLPGRPC: otlptest.GRPC, config.OTLPHTTP: otlptest.HTTP,
}

// A receiver or a proxy that repeats a request would have its headers, which are secrets, in the log and in the status
// of a RoseyBot.
func TestAnswersOfReceiversAreNotRepeated(t *testing.T) {
	telemetry.ReportProblemsAtOnce(t)
	for protocol, start := range protocols {
		t.Run(protocol, func(t *testing.T) {
			receiver := start(t)
			receiver.AnswerWith(func(context.Context) error { return errors.New("you sent Bearer topsecret") })
			refuses(t, receiver.URL, protocol, "the receiver")
		})
	}
	for name, test := range map[string]struct {
		protocol string
		code     int
		want     string
	}{
		"tried again":     {config.OTLPHTTP, http.StatusServiceUnavailable, "the receiver answers 503"},
		"not tried again": {config.OTLPHTTP, http.StatusUnauthorized, "the receiver answers 401"},
		"proxy of gRPC":   {config.OTLPGRPC, http.StatusForbidden, "403 (Forbidden)"},
		"not gRPC at all": {config.OTLPGRPC, http.StatusOK, "200 (OK)"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/topsecret")
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte("you sent Bearer topsecret"))
			}))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
			refuses(t, server.URL, test.protocol, test.want)
		})
	}
	t.Run("malformed", func(t *testing.T) { refuses(t, malformed(t), config.OTLPHTTP, "") })
}

// refuses sends a span to a receiver that does not take it, and looks for a text and for the secret.
func refuses(t *testing.T, url, protocol, want string) {
	t.Helper()
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "1000") // the SDK tries some requests again until then
	tracing := setUp(t, telemetry.Settings{Endpoint: url, Protocol: protocol})
	say("refused")
	tracing.Shutdown(t.Context())
	problem, text := tracing.Problem(), tracing.log.String()
	if problem == "" || !strings.Contains(strings.ToLower(problem), strings.ToLower(want)) {
		t.Errorf("the problem is %q, want %q", problem, want)
	}
	if all := problem + text; strings.Contains(all, "secret") || strings.Contains(all, "Bearer") {
		t.Errorf("the answer is repeated:\n%s\n%s", problem, text)
	}
}

// A receiver that warns, or that rejects one span of a request, has taken the others.
func TestPartialSuccessIsNoFailure(t *testing.T) {
	telemetry.ReportProblemsAtOnce(t)
	for protocol, start := range protocols {
		t.Run(protocol, func(t *testing.T) {
			for _, test := range []struct {
				rejected, failed, lines int
			}{{0, 0, 0}, {1, 1, 1}, {1000, 3, 1}} {
				receiver := start(t)
				receiver.RejectSome(int64(test.rejected), "topsecret\n(2 spans rejected)")
				t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "60000") // one request
				tracing := setUpAsIs(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: protocol})
				for range 3 {
					say("some")
				}
				tracing.Shutdown(t.Context())
				failed, exported := tracing.count(t, "failed"), tracing.count(t, "exported")
				if int(failed) != test.failed || int(exported) != 3-test.failed {
					t.Errorf("%d of 3 rejected: failed %v, exported %v", test.rejected, failed, exported)
				}
				text := tracing.log.String()
				if problem := tracing.Problem(); problem != "" || strings.Contains(text, "topsecret") ||
					strings.Count(text, "rejected some spans") != test.lines || strings.Contains(text, "cannot be sent") {
					t.Errorf("%d of 3 rejected: problem %q, log\n%s", test.rejected, problem, text)
				}
			}
		})
	}
}

// Spans with a link to each message of a batch would otherwise fill the memory while the receiver is slow.
func TestLinksAreKeptAndCountedAsMemory(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
	receiver := otlptest.HTTP(t)
	tracing := setUpAsIs(t, telemetry.Settings{Endpoint: receiver.URL})
	links := make([]trace.Link, telemetry.MaxLinks)
	for i := range links {
		links[i].SpanContext = telemetry.ParseParent(parent)
	}
	for range 3 {
		_, span := telemetry.Start(t.Context(), "batch", trace.WithLinks(links...))
		for range 200 {
			span.AddEvent("again")
		}
		span.End()
	}
	tracing.Shutdown(t.Context())
	spans := receiver.Spans()
	if dropped := tracing.count(t, "dropped"); dropped != 2 || len(spans) != 1 {
		t.Fatalf("%d spans arrived, %v were dropped; want 1 and 2", len(spans), dropped)
	}
	if got := spans[0]; len(got.Links) != telemetry.MaxLinks || len(got.Events) > 32 {
		t.Errorf("%d links and %d events, want %d and at most 32", len(got.Links), len(got.Events), telemetry.MaxLinks)
	}
}
