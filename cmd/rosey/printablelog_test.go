package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// background runs a command until stop, and returns what it has written.
type background struct {
	mu             sync.Mutex
	stdout, stderr bytes.Buffer
	stop           func()
}

func startInProcess(t *testing.T, arguments ...string) *background {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &background{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx, arguments, lockedWriter{&b.mu, &b.stdout}, lockedWriter{&b.mu, &b.stderr})
	}()
	b.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(b.stop)
	return b
}

type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(text)
}

func (b *background) output() (stdout, stderr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stdout.String(), b.stderr.String()
}

// TestTailShowsPrintableText publishes hostile subjects, names, texts, headers and payloads that are no JSON.
func TestTailShowsPrintableText(t *testing.T) {
	server := natstest.Start(t)
	for _, format := range [][]string{nil, {"--json"}} {
		tail := startInProcess(t, append([]string{"tail", "--nats", server.URL()}, format...)...)
		natstest.Eventually(t, "the subscription", func() bool {
			_, stderr := tail.output()
			return strings.Contains(stderr, "watching")
		})
		subject := strings.NewReplacer("\r", "", "\n", "", "\t", "", " ", "", "\x00", "").Replace(hostile)
		payload, err := json.Marshal(map[string]any{
			"username": hostile, "message": hostile, hostile: hostile, "list": []any{hostile, map[string]any{hostile: hostile}},
		})
		if err != nil {
			t.Fatal(err)
		}
		client := server.Client()
		for i, data := range [][]byte{payload, []byte(hostile + "\x9b31m"), []byte("{\"a\":\"FORGED\x9b31m\u009b\"}\r\n")} {
			message := nats.NewMsg(fmt.Sprintf("rosey.db.%d.%s", i, subject))
			message.Header.Set(bus.MsgIDHeader, strings.NewReplacer("\r", "", "\n", "").Replace(hostile))
			message.Data = data
			if err := client.PublishMsg(message); err != nil {
				t.Fatal(err)
			}
		}
		natstest.Eventually(t, "three messages", func() bool {
			stdout, _ := tail.output()
			return strings.Count(stdout, "\n") >= 3
		})
		tail.stop()
		stdout, stderr := tail.output()
		assertPrintable(t, "tail", stdout)
		assertPrintable(t, "tail", stderr)
		if strings.Count(stdout, "\n") != 3 || strings.Count(stdout, "FORGED") < 6 {
			t.Errorf("tail %v: %q", format, stdout)
		}
		var first struct{ Payload struct{ Username string } }
		if err := json.NewDecoder(strings.NewReader(stdout)).Decode(&first); len(format) > 0 &&
			(err != nil || first.Payload.Username != hostile) {
			t.Errorf("programs read %q, %v", first.Payload.Username, err)
		}
	}
}

// TestLogsAndPagesArePrintable runs each component with a CyTube server, or the name of a file, that is hostile, and
// reads its log and everything that it serves.
func TestLogsAndPagesArePrintable(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"error": hostile})
	}))
	t.Cleanup(site.Close)
	server := natstest.Start(t)
	address := regexp.MustCompile(`http"?[=:]"?(127\.0\.0\.1:\d+)`)
	common := []string{"--channel", "movienight", "--server", site.URL, "--http", "127.0.0.1:0"}
	for _, arguments := range [][]string{
		{"bot", "--nats", server.URL()},
		{"db", "--nats", server.URL(), "--database", "/proc/FORGED\u009b\u202e\u200b\U000e0041/" + config.SQLiteFile},
		{"run", "--data", t.TempDir()},
	} {
		t.Run(arguments[0], func(t *testing.T) {
			process := startInProcess(t, append(arguments, common...)...)
			t.Cleanup(func() {
				if _, stderr := process.output(); t.Failed() {
					t.Logf("log: %q", stderr)
				}
			})
			natstest.Eventually(t, "the hostile text in the log", func() bool {
				_, stderr := process.output()
				return strings.Contains(stderr, "FORGED") && address.MatchString(stderr)
			})
			_, stderr := process.output()
			at := "http://" + address.FindStringSubmatch(stderr)[1]
			for _, path := range []string{
				status.ReadyPath, status.StatusPath, status.StatePath, status.MetricsPath, status.ProcessPath,
			} {
				response, err := http.Get(at + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if _ = response.Body.Close(); err != nil {
					t.Fatal(err)
				}
				assertPrintable(t, path, string(body))
				if path != status.MetricsPath && path != status.ReadyPath && !strings.Contains(string(body), "FORGED") {
					t.Errorf("%s does not show the cause: %q", path, body)
				}
			}
			process.stop()
			stdout, stderr := process.output()
			assertPrintable(t, "standard output", stdout)
			assertPrintable(t, "log", stderr)
		})
	}
}
