package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// The requests of a page are in the trace of the page, which no browser chooses, and which has no name of a person.
func TestPagesAreTraced(t *testing.T) {
	receiver := otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: slog.New(slog.DiscardHandler), Service: "rosey-web",
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /people/{name}", traced("GET /people/{name}", http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, span := telemetry.Start(r.Context(), "request db.query.user")
			span.End()
			w.WriteHeader(http.StatusBadGateway)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		})))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/people/alice?q=alice", nil)
	request.Header.Set(telemetry.ParentHeader, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	mux.ServeHTTP(httptest.NewRecorder(), request)
	provider.Shutdown(t.Context())

	spans := receiver.Spans()
	if len(spans) != 2 {
		t.Fatalf("spans: %s", otlptest.Describe(spans))
	}
	asked, page := spans[0], spans[1]
	if page.Name != "GET /people/{name}" || page.Kind != traces.Span_SPAN_KIND_SERVER || page.Parent() != "" ||
		asked.Parent() != page.ID() || page.Attribute("http.route") != "/people/{name}" ||
		page.Attribute("http.response.status_code") != int64(502) || page.Attribute("error.type") != "502" {
		t.Errorf("%s %v, with the child %s %v", page.Name, page, asked.Name, asked)
	}
	for pattern, want := range map[string]bool{"GET /chat": true, "GET /live": false, "GET /assets/{name}": false} {
		if isTraced(pattern) != want {
			t.Errorf("%s: is traced: %v, want %v", pattern, !want, want)
		}
	}
}
