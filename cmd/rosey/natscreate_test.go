package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// With manual provisioning, bot and database service work as users that may create nothing, once `rosey nats create`
// has run.
func TestProcessesUseWhatNATSCreateHasMade(t *testing.T) {
	creating := []string{"$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>", "$JS.API.CONSUMER.CREATE.>",
		"$JS.API.CONSUMER.DURABLE.>", "$JS.API.DIRECT.>"}
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "admin-hush"}, {
			Username: "few", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: creating}},
		}}
		o.NoAuthUser = "few"
	})
	_, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"--channel", "movienight", "--server", site, "--nats", nats.URL(), "--http", "127.0.0.1:0",
		"--nats-jet-stream-provisioning", "manual"}
	db := start(t, append([]string{"db", "--database", filepath.Join(dir, "rosey.db")}, common...)...)
	bot := start(t, append([]string{"bot", "--username", "Rosey", "--password-file", password, "--standby"},
		common...)...)
	for _, p := range []*roseyProcess{db, bot} {
		if report := p.waitFor(status.ReasonJetStreamMissing); !strings.Contains(report.Message, "rosey nats create") {
			t.Errorf("%+v", report)
		}
	}

	create := []string{"nats", "create", "--nats", nats.URL()}
	code, out, stderr := call(t, create...)
	if want := `creating the stream rosey_events: the account may not publish to "$JS.API.STREAM.CREATE.`; code !=
		exit.Failure || !strings.Contains(stderr, want) || out != "" {
		t.Errorf("as a user who may not: exit code %d, %s%s", code, out, stderr)
	}
	create = append(create, "--nats-credentials-dir", credentialsDir(t, "admin"))
	for _, change := range []string{"created", "unchanged"} {
		code, out, stderr := call(t, create...)
		want := strings.ReplaceAll("stream rosey_events: X\nconsumer rosey_db: X\nbucket rosey_locks: X\n", "X", change)
		if code != exit.Clean || out != want {
			t.Errorf("exit code %d, %q%s, want %q", code, out, stderr, want)
		}
	}
	code, out, stderr = call(t, append(create, "--nats-jet-stream-max-bytes", "2000000")...)
	if code != exit.Clean || !strings.Contains(out, "stream rosey_events: updated") {
		t.Errorf("another limit: exit code %d, %s%s", code, out, stderr)
	}
	for _, p := range []*roseyProcess{db, bot} {
		p.waitFor(status.ReasonReady)
	}
	js, err := jetstream.New(nats.ClientAs("admin", "admin-hush"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), "rosey_locks")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Get(t.Context(), leader.KeyName(site, "movienight")); err != nil {
		t.Errorf("the bot leads without a key: %v", err)
	}
}
