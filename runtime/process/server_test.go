package process_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/status"
)

func get(t *testing.T, url string) (code int, contentType, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(content)
}

func TestServe(t *testing.T) {
	started := time.Now().UTC().Truncate(time.Second)
	store := status.NewRecorder(status.StoreCheck, "opening the store")
	nats := status.NewRecorder(status.NATSCheck, "connecting")
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rosey_test"}, func() float64 { return 42 }))
	listener, err := process.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	server := process.Server{
		Component: status.DatabaseComponent, Version: "v1", Started: started,
		Checks:  []func() status.Check{store.Check, nats.Check},
		Leader:  func() string { return "rosey-0" },
		Metrics: registry, Log: slog.New(slog.DiscardHandler),
	}
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, listener)
	}()
	base := "http://" + listener.Addr().String()

	for _, step := range []struct {
		set   func()
		code  int
		ready string
	}{
		{func() {}, 503, "Starting: opening the store\n"},
		{func() { store.Set(true, status.ReasonStoreOpen, "open") }, 503, "Starting: connecting\n"},
		{func() { nats.Set(true, status.ReasonConnected, "connected") }, 200, "Ready: everything works\n"},
		{func() { nats.Set(false, status.ReasonNATSUnreachable, "gone") }, 503, "NATSUnreachable: gone\n"},
	} {
		step.set()
		if code, _, body := get(t, base+status.ReadyPath); code != step.code || body != step.ready {
			t.Errorf("ready: %d %q, want %d %q", code, body, step.code, step.ready)
		}
		if code, _, _ := get(t, base+status.HealthPath); code != 200 {
			t.Errorf("health: %d, want 200 whatever the checks say", code)
		}
	}

	code, contentType, body := get(t, base+status.StatusPath)
	var got status.Report
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || contentType != "application/json" {
		t.Errorf("status: %d %s %q, %v", code, contentType, body, err)
	}
	if diff := cmp.Diff(server.Report(), got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Error(diff)
	}
	if code, _, body := get(t, base+status.MetricsPath); code != 200 || !strings.Contains(body, "rosey_test 42") {
		t.Errorf("metrics: %d %q", code, body)
	}
	if code, _, body := get(t, base+status.ProcessPath); code != 200 || !strings.Contains(body, `href="/status"`) {
		t.Errorf("page: %d %q", code, body)
	}
	if code, _, _ := get(t, base+"/other"); code != 404 {
		t.Errorf("unknown path: %d", code)
	}

	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String()); err == nil {
		_ = connection.Close()
		t.Error("still listening after Serve has returned")
	}
}

func TestListenOnAddressInUse(t *testing.T) {
	first, err := process.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	address := first.Addr().String()
	if _, err := process.Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("error %v, want one that names %s", err, address)
	}
}
