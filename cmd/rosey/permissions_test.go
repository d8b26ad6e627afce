package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// documentedServer runs NATS with docs/nats/server.conf, except that its address and directory are the test's.
func documentedServer(t *testing.T) *natstest.Server {
	t.Helper()
	for _, user := range []string{"BOT", "DATABASE", "CLI"} {
		t.Setenv("NATS_"+user+"_PASSWORD", strings.ToLower(user)+"-hush")
	}
	documented, err := server.ProcessConfigFile("../../docs/nats/server.conf")
	if err != nil {
		t.Fatal(err)
	}
	return natstest.Start(t, func(o *server.Options) {
		documented.Host, documented.Port, documented.NoLog, documented.NoSigs = o.Host, o.Port, true, true
		documented.StoreDir = t.TempDir()
		*o = *documented
	})
}

// credentialsDir returns a directory with the login of a user of the documented server.
func credentialsDir(t *testing.T, user string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"username": user, "password": user + "-hush"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDocumentedPermissionsAreEnough runs every component with docs/nats/server.conf, among them a bot with leader
// election.
func TestDocumentedPermissionsAreEnough(t *testing.T) {
	nats := documentedServer(t)
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"--channel", "movienight", "--server", site, "--nats", nats.URL(), "--http", "127.0.0.1:0",
		"--nats-jet-stream-mode", "always"}
	db := start(t, append([]string{"db", "--database", filepath.Join(dir, "rosey.db"),
		"--nats-credentials-dir", credentialsDir(t, "database")}, common...)...)
	bot := start(t, append([]string{"bot", "--username", "Rosey", "--password-file", password, "--standby",
		"--nats-credentials-dir", credentialsDir(t, "bot")}, common...)...)
	db.waitFor(status.ReasonReady)
	bot.waitFor(status.ReasonReady)
	if err := sim.Channel("movienight").Join("alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Channel("movienight").Say("alice", "hello"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the line to be stored", func() bool {
		_, metrics := db.get(status.MetricsPath)
		return strings.Contains(metrics, `rosey_database_messages_total{outcome="stored",subject="db.message.log"} 1`)
	})
	cli := []string{"--nats", nats.URL(), "--nats-credentials-dir", credentialsDir(t, "cli")}
	for _, test := range []struct{ command, want string }{
		{"top", "alice"}, {"user alice", "alice"}, {"say hi", ""},
	} {
		code, out, stderr := call(t, append(strings.Fields(test.command), cli...)...)
		if code != exitClean || !strings.Contains(out, test.want) {
			t.Errorf("%s: exit code %d, %s%s", test.command, code, out, stderr)
		}
	}
	natstest.Eventually(t, "the line that was said with rosey say", func() bool {
		_, metrics := db.get(status.MetricsPath)
		return strings.Contains(metrics, `rosey_database_messages_total{outcome="stored",subject="db.message.log"} 2`)
	})
	for _, p := range []*roseyProcess{bot, db} {
		if report := p.waitFor(status.ReasonReady); !report.Ready {
			t.Errorf("%+v", report)
		}
		for _, line := range p.log() {
			if text, ok := line["msg"].(string); ok && strings.Contains(text, "may not") {
				t.Errorf("a permission is missing: %s", text)
			}
		}
	}
}

// TestMissingPermissionIsReported runs a service as a user with too few permissions.
func TestMissingPermissionIsReported(t *testing.T) {
	nats := documentedServer(t)
	p := start(t, "db", "--channel", "movienight", "--nats", nats.URL(), "--http", "127.0.0.1:0",
		"--database", filepath.Join(t.TempDir(), "rosey.db"), "--nats-credentials-dir", credentialsDir(t, "cli"),
		"--nats-jet-stream-mode", "never")
	p.waitFor(status.ReasonReady)
	// The user cli may subscribe to everything, but not reply to requests.
	client := nats.ClientAs("bot", "bot-hush")
	if err := client.PublishRequest("rosey.db.kv.list", client.NewInbox(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if report := p.waitFor(status.ReasonNATSPermissionMissing); !strings.Contains(report.Message, `"_INBOX.`) {
		t.Errorf("%+v", report)
	}
}
