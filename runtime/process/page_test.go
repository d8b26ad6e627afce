package process_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

// hostile is a title or a name that tries to inject HTML.
const hostile = `</style><script>alert("1")</script><img src=x onerror=alert(2)>{{.Channel}}&amp;` + "\u202e"

func servePage(t *testing.T, channel *room.Snapshot) string {
	t.Helper()
	store := status.NewRecorder(status.StoreCheck, "opening <the> store")
	registry := prometheus.NewRegistry()
	published := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosey_bus_published_total"}, []string{"subject"})
	size := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosey_database_store_bytes"})
	registry.MustRegister(published, size, prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosey_test"}))
	published.WithLabelValues("a").Add(3)
	published.WithLabelValues("b").Add(4)
	size.Set(3 << 19)
	server := process.Server{
		Component: status.RunComponent, Version: "v1.2.3", Started: time.Now().Add(-2 * time.Hour),
		Checks:  []func() status.Check{store.Check},
		Channel: func(context.Context) *room.Snapshot { return channel },
		Metrics: registry, Log: slog.New(slog.DiscardHandler),
	}
	served := httptest.NewServer(server.Handler())
	t.Cleanup(served.Close)
	return served.URL
}

func testChannel() *room.Snapshot {
	return &room.Snapshot{
		Server: "https://cytu.be", Name: "movienight", Self: "Rosey", Connected: 7, Items: 12, PlaybackLeader: "alice",
		Users: []cytube.User{
			{Name: "Rosey", Rank: 3}, {Name: "alice", Rank: 1.5, AFK: true}, {Name: hostile, Muted: true},
		},
		Playing: &room.Playing{Title: hostile, Seconds: 5400, Position: 3723, Paused: true},
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	code, contentType, page := get(t, servePage(t, testChannel())+status.ProcessPath)
	if code != 200 || contentType != "text/html; charset=utf-8" {
		t.Errorf("%d %s", code, contentType)
	}
	for _, want := range []string{
		"<bdi>movienight</bdi>", "<strong>Starting</strong> opening &lt;the&gt; store", "3 named, 7 connected",
		"<bdi>Rosey</bdi> <i>this bot</i> <i>admin</i>", "<bdi>alice</bdi> <i>leader</i> <i>away</i>", "<i>muted</i>",
		"1:02:03 of 1:30:00, paused", `value="68"`, "12 items in the playlist; leader: <bdi>alice</bdi>",
		"<td>7</td><th scope=\"row\">messages published</th>", "<td>1.5 MiB</td>", "running for 2 hours", "v1.2.3",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "rosey_test") {
		t.Error("a metric that is not for people is shown")
	}
}

func TestPageEscapesNamesAndTitles(t *testing.T) {
	t.Parallel()
	_, _, page := get(t, servePage(t, testChannel())+status.ProcessPath)
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Count(page, "</style>") != 1 {
		t.Errorf("not escaped:\n%s", page)
	}
	if strings.Count(page, "&lt;script&gt;") != 2 {
		t.Error("the name and the title are not shown literally")
	}
}

// TestEverythingServedIsPrintable serves names, titles and messages with what a terminal or a browser would obey.
func TestEverythingServedIsPrintable(t *testing.T) {
	t.Parallel()
	const text = "FORGED\r\n\x1b]52;c;QUJD\x07\u009b31m\u202e\u200b\u2028\U000e0041\ue000"
	check := status.NewRecorder(status.ChannelCheck, text).Check
	server := process.Server{
		Component: status.BotComponent, Version: text, Checks: []func() status.Check{check},
		Leader: func() string { return text },
		Channel: func(context.Context) *room.Snapshot {
			return &room.Snapshot{
				Server: text, Name: text, Self: text, PlaybackLeader: text, Users: []cytube.User{{Name: text}},
				Playing: &room.Playing{Title: text},
			}
		},
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	}
	served := httptest.NewServer(server.Handler())
	t.Cleanup(served.Close)
	for _, path := range []string{
		status.ProcessPath, status.ReadyPath, status.StatusPath, status.StatePath, status.MetricsPath,
	} {
		_, contentType, body := get(t, served.URL+path)
		isHostile := func(r rune) bool { return r != '\n' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
		if at := strings.IndexFunc(body, isHostile); at >= 0 {
			t.Errorf("%s has %q", path, body[at:min(len(body), at+20)])
		}
		if path != status.MetricsPath && !strings.Contains(body, "FORGED") {
			t.Errorf("%s does not show the message: %q", path, body)
		}
		if strings.HasPrefix(contentType, "text/plain") && strings.Count(body, "\n") > 1 && path == status.ReadyPath {
			t.Errorf("%s is not one line: %q", path, body)
		}
	}
}

// TestPageLoadsNothing: the policy of the page makes a browser run and fetch nothing, whatever the page contains.
func TestPageLoadsNothing(t *testing.T) {
	t.Parallel()
	target := servePage(t, testChannel()) + status.ProcessPath
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	policy := response.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "form-action 'none'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") || strings.Contains(policy, "http") {
		t.Errorf("policy %q permits too much", policy)
	}
	for header, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
	} {
		if got := response.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

func TestPageWithoutChannel(t *testing.T) {
	t.Parallel()
	base := servePage(t, nil)
	_, _, page := get(t, base+status.ProcessPath)
	if strings.Contains(page, "Now playing") || !strings.Contains(page, "<title>Starting · Rosey</title>") {
		t.Errorf("page:\n%s", page)
	}
	if _, _, body := get(t, base+status.StatePath); strings.Contains(body, `"channel"`+": {") {
		t.Errorf("state:\n%s", body)
	}
}

func TestPageOfEmptyChannel(t *testing.T) {
	t.Parallel()
	_, _, page := get(t, servePage(t, &room.Snapshot{Name: "movienight"})+status.ProcessPath)
	if !strings.Contains(page, "Nothing is playing.") || !strings.Contains(page, "No named users.") {
		t.Errorf("page:\n%s", page)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	code, contentType, body := get(t, servePage(t, testChannel())+status.StatePath)
	var state process.State
	if err := json.Unmarshal([]byte(body), &state); err != nil || code != 200 || contentType != "application/json" {
		t.Fatalf("%d %s %v\n%s", code, contentType, err, body)
	}
	if diff := cmp.Diff(testChannel(), state.Channel); diff != "" {
		t.Error(diff)
	}
	if state.Reason != status.ReasonStarting || len(state.Checks) != 1 || len(state.Numbers) != 2 {
		t.Errorf("state %+v", state)
	}
	if first := state.Numbers[0]; first.Metric != "rosey_bus_published_total" || first.Value != 7 {
		t.Errorf("number %+v, want the sum of the series", first)
	}
}

func TestWhoIsInTheChannelIsServedOnlyToWhomItIsFor(t *testing.T) {
	t.Parallel()
	server := process.Server{
		Component: status.RunComponent,
		Channel:   func(context.Context) *room.Snapshot { return testChannel() },
		Private: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		},
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	}
	served := httptest.NewServer(server.Handler())
	t.Cleanup(served.Close)
	for path, want := range map[string]int{
		status.ProcessPath: 401, status.StatePath: 401, status.HealthPath: 200, status.ReadyPath: 200,
		status.StatusPath: 200, status.MetricsPath: 200,
	} {
		code, _, body := get(t, served.URL+path)
		if code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
		if strings.Contains(body, "alice") {
			t.Errorf("%s names somebody: %s", path, body)
		}
	}
}
