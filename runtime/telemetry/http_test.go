package telemetry_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

func TestKubernetesTemplate(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/namespaces/films": "/api/v1/namespaces/{name}",
		"/api/v1/pods":             "/api/v1/pods",
		"/api/v1/namespaces/films/services/movienight-bot": "/api/v1/namespaces/{namespace}/services/{name}",
		"/apis/apps/v1/namespaces/films/deployments":       "/apis/apps/v1/namespaces/{namespace}/deployments",
		"/apis/rosey.dev/v1alpha1/namespaces/a/roseybots/b/status": "/apis/rosey.dev/v1alpha1/namespaces/{namespace}" +
			"/roseybots/{name}/status",
		"/version": "/version", "/apis": "/apis", "": "",
	} {
		if got := telemetry.KubernetesTemplate(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// ask sends a request through a traced client.
func ask(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	asked := &http.Client{Transport: telemetry.NewTransport(http.DefaultTransport, strings.ToUpper)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := asked.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

// malformed starts a server that answers with a secret instead of HTTP, and returns its URL.
func malformed(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // a part of the request
			_, _ = io.WriteString(conn, "a secret\r\n\r\n")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return "http://" + listener.Addr().String()
}

// A request without a trace, such as a watch, begins none, and neither does work that has asked nothing.
func TestOnlyRequestsOfATraceAreTraced(t *testing.T) {
	receiver, parents := otlptest.HTTP(t), make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parents <- r.Header.Get("traceparent")
		if r.URL.Path == "/absent" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	tracing := setUp(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: config.OTLPHTTP})
	name := func() []attribute.KeyValue { return []attribute.KeyValue{attribute.String("name", "a")} }

	_, idle := telemetry.Defer(t.Context(), "idle", name)
	idle.End("")
	ask(t.Context(), t, server.URL+"/watch")
	ctx, deferred := telemetry.Defer(t.Context(), "work", name)
	ask(ctx, t, server.URL+"/found?token=secret")
	ask(ctx, t, server.URL+"/absent")
	ask(ctx, t, "http://127.0.0.1:1/refused")
	ask(ctx, t, malformed(t)+"/malformed")
	deferred.End("conflict")
	tracing.Shutdown(t.Context())

	spans := map[string]otlptest.Span{}
	for _, span := range receiver.Spans() {
		spans[span.Name] = span
	}
	for name, want := range map[string]struct {
		status  any
		failure string
	}{
		"GET /FOUND": {int64(200), ""}, "GET /ABSENT": {int64(404), "404"}, "GET /REFUSED": {nil, "refused"},
		"GET /MALFORMED": {nil, "_OTHER"},
	} {
		span, failure := spans[name], spans[name].Attribute("error.type")
		if span.Parent() != spans["work"].ID() || span.Attribute("http.response.status_code") != want.status ||
			(want.failure != "") != (span.Status.GetCode() == traces.Status_STATUS_CODE_ERROR) ||
			want.failure != "" && failure != want.failure {
			t.Errorf("%s: %v, want %v", name, span, want)
		}
		if text := span.String(); strings.Contains(text, "secret") || span.Status.GetMessage() != "" {
			t.Errorf("%s has a text of a user or of a server: %s", name, text)
		}
	}
	work := spans["work"]
	if len(spans) != 5 || work.Attribute("name") != "a" || work.Attribute("error.type") != "conflict" ||
		work.StartTimeUnixNano > spans["GET /FOUND"].StartTimeUnixNano {
		t.Errorf("spans are\n%s", otlptest.Describe(receiver.Spans()))
	}
	for _, want := range []string{"", spans["GET /FOUND"].Trace() + "-" + spans["GET /FOUND"].ID()} {
		if got := <-parents; (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("the traceparent was %q, want %q", got, want)
		}
	}
}

func TestDeferredSpansCostNothingWhileTracingIsOff(t *testing.T) {
	attributes := func() []attribute.KeyValue {
		t.Error("attributes were made")
		return []attribute.KeyValue{attribute.Bool("made", true)}
	}
	ctx := context.Background()
	if allocated := testing.AllocsPerRun(100, func() {
		deferring, span := telemetry.Defer(ctx, "work", attributes)
		_ = telemetry.Begin(deferring)
		span.End("")
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
