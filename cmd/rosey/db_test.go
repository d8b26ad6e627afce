package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// lineHTML is a line of chat with what CyTube makes of texts, and lineJSON the same in JSON.
const (
	lineHTML = `&gt;<strong>hi</strong> &amp; <span class="spoiler">you</span>` + " \x1b[2J"
	lineJSON = `&gt;<strong>hi</strong> &amp; <span class=\"spoiler\">you</span> \u001b[2J`
)

func TestDatabaseServiceFromStartToEnd(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	file := writeConfig(t, t.TempDir(), server.URL())
	p := start(t, "db", "--config", file)
	report := p.waitFor(status.ReasonReady)
	if !report.Ready || report.Component != status.DatabaseComponent || len(report.Checks) != 3 || report.Version == "" {
		t.Errorf("status: %+v", report)
	}
	if code, _ := p.get(status.ReadyPath); code != 200 {
		t.Errorf("ready: %d", code)
	}

	client := server.Client()
	for subject, body := range map[string]string{
		"rosey.db.user.joined":      `{"username":"alice","timestamp":1763700000}`,
		"rosey.db.message.log":      `{"username":"alice","message":"` + lineJSON + `","timestamp":1763700001.5}`,
		"rosey.db.stats.user_count": `{"chat_count":1,"connected_count":2,"timestamp":1763700002}`,
		"rosey.db.stats.high_water": `{"chat_count":1,"connected_count":2,"timestamp":1763700003}`,
		"rosey.db.status.update":    `{"status_data":{"bot_name":"Rosey"}}`,
	} {
		if err := client.Publish(subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), waitTimeout); err != nil {
		t.Fatal(err)
	}
	if _, body := p.get(status.MetricsPath); !strings.Contains(body,
		`rosey_database_messages_total{outcome="stored",subject="db.message.log"} 1`) {
		t.Error("the metrics do not count the line")
	}
	whileRunning := show(t, file)
	server.Stop()
	p.waitFor(status.ReasonNATSUnreachable)
	if code, body := p.get(status.ReadyPath); code != 503 || !strings.HasPrefix(body, "NATSUnreachable: ") {
		t.Errorf("ready without NATS: %d %s", code, body)
	}
	server.Restart()
	p.waitFor(status.ReasonReady)
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	for _, line := range p.log() {
		if line["component"] != "database" || line["time"] == nil || line["level"] == nil {
			t.Errorf("log line %v", line)
		}
	}

	want := channelRows{
		Server: "https://cytu.be", Channel: "Movies",
		Chat:        []chatRow{{1763700001500, "alice", ">hi & you \x1b[2J", lineHTML}},
		TopChatters: []chatterRow{{"alice", 1}},
		Users: []userRow{{
			Username: "alice", FirstSeen: 1763700000000, LastSeen: 1763700001500, Lines: 1, ConnectedMS: 1500,
			SessionStart: 1763700000000, Sessions: []sessionRow{{Join: 1763700000000}},
		}},
		HighWater:  maximaRow{1, 1763700003000, 2, 1763700003000},
		UserCounts: []userCountRow{{1763700002000, 1, 2}},
		Status:     map[string]json.RawMessage{"bot_name": json.RawMessage(`"Rosey"`)},
	}
	if diff := cmp.Diff(want, whileRunning); diff != "" {
		t.Errorf("shown while the service runs: %s", diff)
	}
	if diff := cmp.Diff(want, show(t, file)); diff != "" {
		t.Errorf("shown after the service has stopped: %s", diff)
	}
	code, text, _ := call(t, "db", "show", "--config", file)
	line := "2025-11-21 04:40:01  alice  >hi & you \ufffd[2J"
	if code != 0 || !strings.Contains(text, line) || strings.Contains(text, "\x1b") {
		t.Errorf("as text, exit code %d:\n%s", code, text)
	}
}

func show(t *testing.T, file string) (content channelRows) {
	t.Helper()
	code, out, stderr := call(t, "db", "show", "--config", file, "--limit", "0", "--output", "json")
	if err := json.Unmarshal([]byte(out), &content); err != nil || code != 0 {
		t.Fatalf("show: exit code %d, %v, %s%s", code, err, out, stderr)
	}
	return content
}

// A killed service loses the events in its memory. The publisher has not dropped them, since the service replies only
// after it has stored what was published before the request.
func TestKilledServiceLosesNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	file := writeConfig(t, t.TempDir(), server.URL())
	pub := startPublisher(t, server.URL())
	const lines, kills = 900, 3
	p := start(t, "db", "--config", file)
	began := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i := range lines {
		at := began.Add(time.Duration(i) * time.Millisecond)
		text := fmt.Sprint(i)
		pub.Publish(t.Context(), bus.MessageLog, bus.ChatLineID("https://cytu.be", "Movies", "alice", at, "chat", text, 0),
			bus.MessagePayload{Username: "alice", Message: text, Origin: bus.Origin{Timestamp: bus.Seconds{Time: at}}})
		switch i % (lines / kills) {
		case 200:
			natstest.Eventually(t, "the publisher to find the service", func() bool { return pub.Check().OK })
		case 250:
			p.end(syscall.SIGKILL)
			p = start(t, "db", "--config", file)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	if err := pub.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	p.end(syscall.SIGKILL) // what the publisher has flushed is stored

	var want, got []string
	for i := range lines {
		want = append(want, fmt.Sprint(i))
	}
	for _, line := range show(t, file).Chat {
		got = append(got, line.Text)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func startPublisher(t *testing.T, url string) *publisher.Publisher {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.Options{URL: url, Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := bus.NewSubjects(config.DefaultSubjectPrefix)
	if err != nil {
		t.Fatal(err)
	}
	pub := publisher.New(publisher.Options{Conn: conn, Subjects: subjects, Log: natstest.Log(t)})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { pub.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); conn.Close() })
	return pub
}

func TestServiceWaitsForWhatItNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeConfig(t, dir, "nats://127.0.0.1:1")
	if err := os.Mkdir(filepath.Join(dir, "rosey.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, "db", "--config", file)
	p.waitFor(status.ReasonStoreUnavailable)
	if err := os.Remove(filepath.Join(dir, "rosey.db")); err != nil {
		t.Fatal(err)
	}
	report := p.waitFor(status.ReasonNATSUnreachable)
	if !strings.Contains(report.Message, "nats://127.0.0.1:1: connection refused") {
		t.Errorf("message %q", report.Message)
	}
	if code := p.end(syscall.SIGINT); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	good := writeConfig(t, dir, "nats://127.0.0.1:1")
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("channel: {name: 'a b'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments string
		code      int
		stderr    string
	}{
		{"--version", exit.Clean, ""},
		{"nonsense", exit.Usage, "nonsense"},
		{"db --nonsense", exit.Usage, "--nonsense"},
		{"db extra", exit.Usage, "extra"},
		{"db --config " + filepath.Join(dir, "absent.yaml"), exit.Usage, "absent.yaml"},
		{"db --config " + bad, exit.Usage, "nats.url: required"},
		{"db show --config " + good + " --output xml", exit.Usage, `"xml", expected text or json`},
		{"db show --config " + good + " --limit -1", exit.Usage, "--limit: -1"},
		{"db show --config " + good, exit.Failure, filepath.Join(dir, "rosey.db")},
	} {
		code, _, stderr := call(t, strings.Fields(test.arguments)...)
		if code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("rosey %s: exit code %d, %q; want %d and %q", test.arguments, code, stderr, test.code, test.stderr)
		}
	}
}
