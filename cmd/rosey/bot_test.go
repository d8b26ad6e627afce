package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// startSite starts a site on which the bot has an account.
func startSite(t *testing.T) (sim *simulator.Server, site string) {
	t.Helper()
	return simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
}

// startWithoutLines starts a NATS server on which somebody answers as a service does that has no outbound lines.
func startWithoutLines(t *testing.T) (*natstest.Server, *nats.Conn) {
	t.Helper()
	server := natstest.Start(t)
	client := server.Client()
	_, err := client.Subscribe("rosey.db.messages.outbound.get", func(m *nats.Msg) { _ = m.Respond([]byte("[]")) })
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// TestBotFromStartToEnd runs the bot as a pod does: with a configuration file, a password file that is created later,
// and a signal at the end.
func TestBotFromStartToEnd(t *testing.T) {
	t.Parallel()
	sim, site := startSite(t)
	server, client := startWithoutLines(t)
	left, err := client.SubscribeSync("rosey.db.user.left")
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	p := start(t, "bot", "--config", writeBotConfig(t, site, server.URL(), password))
	report := p.waitFor(status.ReasonAccountPasswordAbsent)
	if report.Ready || report.Component != status.BotComponent || len(report.Checks) != 5 ||
		!strings.Contains(report.Message, password) {
		t.Errorf("status without a password: %+v", report)
	}
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.waitFor(status.ReasonReady)
	natstest.Eventually(t, "the bot in the user list", func() bool {
		return len(sim.Channel("movienight").Users()) == 1
	})
	for _, metric := range []string{
		"rosey_bot_joined 1", "rosey_bus_connected 1", `rosey_cytube_events_total{event="login"} 1`,
	} {
		if _, body := p.get(status.MetricsPath); !strings.Contains(body, metric) {
			t.Errorf("the metrics lack %s", metric)
		}
	}
	if _, body := p.get(status.StatePath); !strings.Contains(body, `"self": "Rosey"`) {
		t.Errorf("the state does not show the channel:\n%s", body)
	}
	server.Stop()
	if report := p.waitFor(status.ReasonNATSUnreachable); report.Checks[3].Reason != status.ReasonJoined {
		t.Errorf("status without NATS: %+v", report)
	}
	server.Restart()
	p.waitFor(status.ReasonReady)
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
	if _, err := left.NextMsgWithContext(t.Context()); err != nil {
		t.Errorf("the bot did not publish that it left: %v", err)
	}
	for _, line := range p.log() {
		if text := fmt.Sprint(line); strings.Contains(text, "hush") || strings.Contains(text, "not JSON") {
			t.Errorf("log: %s", text)
		}
	}
}

func TestBotRejectsInvalidConfiguration(t *testing.T) {
	t.Parallel()
	code, _, stderr := call(t, "bot", "--config", writeBotConfig(t, "cytu.be", "nats://127.0.0.1:1", "/absent"))
	if code != exit.Usage || !strings.Contains(stderr, `channel.server: "cytu.be", expected http(s)://`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func writeBotConfig(t *testing.T, site, natsURL, password string) string {
	t.Helper()
	content := fmt.Sprintf(`channel: {server: %q, name: movienight}
account: {username: rosey, passwordFile: %q}
nats: {url: %q}
http: {address: "127.0.0.1:0"}
logLevel: debug
`, site, password, natsURL)
	path := filepath.Join(t.TempDir(), config.BotFile)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
