package bus_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/logtest"
)

// secretURLs are URLs with secrets, all of which contain hush or 4711. The value is the host that may be shown.
var secretURLs = map[string]string{
	"nats://rosey:hush@127.0.0.1:1":                            "127.0.0.1:1",
	"nats://hush@127.0.0.1:1":                                  "127.0.0.1:1",
	"rosey:hush@127.0.0.1:1":                                   "127.0.0.1:1",
	"nats://rosey:hu,hush@127.0.0.1:1":                         "",
	"nats://rosey:4711,hush@127.0.0.1:1":                       "",
	"nats://rosey:1,hush,x@127.0.0.1:1":                        "",
	"nats://rosey:hush,4711@127.0.0.1:1,nats://u:hush@[::1]:2": "",
	"nats://127.0.0.1:1,nats://rosey:hush@127.0.0.1:2":         "127.0.0.1:1",
	"nats://rosey:hush@127.0.0.1:1, tls://rosey:hush@[::1]:2":  "[::1]:2",
	"nats://rosey:hu@hush@127.0.0.1:1":                         "",
	"nats://rosey:hu/hush@127.0.0.1:1":                         "",
	"nats://rosey:4711/hush@127.0.0.1:1":                       "",
	"nats://rosey:4711?hush@127.0.0.1:1":                       "",
	"nats://rosey:4711#hush@127.0.0.1:1":                       "",
	"nats://rosey:%zz4711hush@127.0.0.1:1":                     "",
	"nats://rosey:hush[@127.0.0.1:1":                           "",
	"nats://127.0.0.1:1?password=hush":                         "127.0.0.1:1",
	"nats://127.0.0.1:1/?token=hush@4711":                      "",
	"nats://127.0.0.1:1?password=hush,nats://127.0.0.1:2":      "127.0.0.1:2",
	"nats://127.0.0.1:1/hush#4711":                             "127.0.0.1:1",
	"nats://127.0.0.1:1,rosey:hush@127.0.0.1:2":                "",
	"nats://hush 4711":                                         "",
}

// Secrets in URLs appear in no error, log line, status, or metric, however the URL is written.
func TestSecretsInURLsAreNotShown(t *testing.T) {
	t.Parallel()
	for url, host := range secretURLs {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			var log logtest.Buffer
			registry := prometheus.NewPedanticRegistry()
			conn, err := bus.Connect(t.Context(), bus.Options{
				URL: url, Name: "rosey", Registerer: registry,
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			var shown string
			if err != nil {
				shown = err.Error()
			} else {
				check := waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
				conn.Close()
				shown = check.Message + conn.Check().Message
			}
			families, gatherErr := registry.Gather()
			must(t, gatherErr)
			for _, family := range families {
				shown += family.String()
			}
			shown += log.String()
			if strings.Contains(shown, "hu") || strings.Contains(shown, "4711") {
				t.Errorf("%s: shows %s", url, shown)
			}
			if !strings.Contains(shown, host) {
				t.Errorf("%s: does not name %s: %s", url, host, shown)
			}
		})
	}
}

// The server to which the connection is established is shown without what else its URL has.
func TestSecretsOfTheConnectedServerAreNotShown(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "hush-user", "hush,4711" })
	for _, query := range []string{"", "?password=hush", "?token=hush"} {
		var log bytes.Buffer
		conn, err := bus.Connect(t.Context(), bus.Options{
			URL: strings.Replace(nats.URL(), "nats://", "nats://hush-user:hush%2C4711@", 1) + query,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		must(t, err)
		check := waitForReason(t, conn.Check, status.ReasonConnected)
		conn.Close()
		if shown := check.Message + log.String(); strings.Contains(shown, "hush") || strings.Contains(shown, "4711") {
			t.Errorf("query %q: shows %s", query, shown)
		}
		if check.Message != "connected to NATS at "+nats.URL() {
			t.Errorf("query %q: %s", query, check.Message)
		}
	}
}
