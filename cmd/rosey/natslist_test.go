package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/status"
)

// listNATS returns what `rosey nats list` lists, by kind and name.
func listNATS(t *testing.T, flags ...string) map[string]natsObject {
	t.Helper()
	code, out, stderr := call(t, append([]string{"nats", "list", "-o", "json"}, flags...)...)
	var objects []natsObject
	if err := json.Unmarshal([]byte(out), &objects); err != nil || code != exit.Clean {
		t.Fatalf("exit code %d, %v, %s%s", code, err, out, stderr)
	}
	found := map[string]natsObject{}
	for _, object := range objects {
		found[object.Kind+" "+object.Name] = object
	}
	return found
}

// mustCall runs a command and returns what it prints.
func mustCall(t *testing.T, arguments ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := call(t, arguments...)
	if code != exit.Clean {
		t.Fatalf("rosey %v: exit code %d, %s%s", arguments, code, stdout, stderr)
	}
	return stdout
}

// otherStreams creates streams that are not of bots, though their names look like it.
func otherStreams(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	names := []string{"orders_events", "KV_orders_locks", "orders"}
	for _, name := range names {
		configured := jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}}
		if _, err := js.CreateStream(t.Context(), configured); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// Whoever forgot to enable JetStream read "no responders available for request".
func TestNATSCommandsSayThatJetStreamIsMissing(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	for _, arguments := range []string{"list", "list --prefix rosey", "create", "remove rosey --yes"} {
		code, _, stderr := call(t, append([]string{"nats", "--nats", nats.URL()}, strings.Fields(arguments)...)...)
		if code != exit.Failure || !strings.Contains(stderr, "has no JetStream") {
			t.Errorf("rosey nats %s: exit code %d, %q", arguments, code, stderr)
		}
	}
}

func TestNATSListAndRemove(t *testing.T) {
	nats := natstest.Start(t, natstest.JetStream(t))
	js, err := jetstream.New(nats.Client())
	if err != nil {
		t.Fatal(err)
	}
	foreign := otherStreams(t, js)
	at := []string{"--nats", nats.URL()}
	for _, prefix := range []string{"gone", "rosey"} {
		mustCall(t, append([]string{"nats", "create", "--prefix", prefix}, at...)...)
	}
	db := start(t, append([]string{"db", "--channel", "movies", "--http", "127.0.0.1:0", "--database",
		filepath.Join(t.TempDir(), "rosey.db")}, at...)...)
	db.waitFor(status.ReasonReady)

	found := listNATS(t, at...)
	stream, used, unused := found["stream rosey_events"], found["consumer rosey_db"], found["consumer gone_db"]
	if len(found) != 6 || stream.Prefix != "rosey" || stream.Database == "" || stream.Reserved != 64<<20 ||
		used.InUse == "" || unused.InUse != "" {
		t.Errorf("found %+v, want three objects of each of two bots, and a consumer in use", found)
	}

	remove := func(want int, words string, arguments ...string) {
		t.Helper()
		code, out, stderr := call(t, slices.Concat([]string{"nats", "remove"}, arguments, at)...)
		if code != want || !strings.Contains(out+stderr, words) {
			t.Errorf("%v: exit code %d, %s%s\nwant %d and %q", arguments, code, out, stderr, want, words)
		}
	}
	remove(exit.Failure, "consumer rosey_db is in use: a database service consumes events", "gone", "rosey", "--yes")
	remove(exit.Failure, `no stream and no bucket of a bot with the prefix "orders"`, "orders", "--yes", "--force")
	remove(exit.Usage, "expected one token", "go.ne", "--yes")
	remove(exit.Failure, "expected the answer yes, or --yes", "gone")
	if _, err := js.Publish(t.Context(), "gone.db.user.joined", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	remove(exit.Failure, "consumer gone_db: 1 events are not stored in a database", "gone", "--yes")
	if now := listNATS(t, at...); len(now) != 6 {
		t.Errorf("%d objects, want all 6", len(now))
	}
	asked := program(t, slices.Concat([]string{"nats", "remove", "gone", "--force"}, at)...)
	asked.Stdin = strings.NewReader("yes\n")
	if out, err := asked.CombinedOutput(); err != nil || !strings.Contains(string(out), "stream gone_events: removed") {
		t.Errorf("%v, %s", err, out)
	}
	db.end(os.Interrupt)
	remove(exit.Clean, "bucket rosey_locks: removed", "rosey", "--yes", "--force")
	if now := listNATS(t, at...); len(now) != 0 {
		t.Errorf("still there: %v", now)
	}
	for _, name := range foreign {
		if _, err := js.Stream(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What docs/nats.md says is enough, and what is missing is named.
func TestNATSListAndRemoveNeedFewPermissions(t *testing.T) {
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	admin := natsauth.Options{Subjects: subjects, Manual: true, Standby: true}.For(bus.AdminRole)
	documented := []string{
		"$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.STREAM.DELETE.*",
	}
	user := func(name string, publish, subscribe []string) *server.User {
		return &server.User{Username: name, Password: name + "-hush", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: subscribe},
		}}
	}
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "root", Password: "root-hush"},
			user("admin", admin.Publish.Allow, admin.Subscribe.Allow),
			user("documented", documented, []string{"_INBOX.>", "_INBOX_rosey_admin.>"}),
			user("reader", documented[:3], []string{"_INBOX.>", "_INBOX_rosey_admin.>"}),
		}
	})
	as := func(name string) []string {
		return []string{"--nats", nats.URL(), "--nats-credentials-dir", credentialsDir(t, name)}
	}
	for _, name := range []string{"documented", "admin"} {
		mustCall(t, append([]string{"nats", "create"}, as("root")...)...)
		flags := as(name)
		if name == "admin" {
			flags = append(flags, "--prefix", "rosey") // it may read nothing of others
		}
		if found := listNATS(t, flags...); len(found) != 3 {
			t.Errorf("%s: %v", name, found)
		}
		code, out, stderr := call(t, append([]string{"nats", "remove", "rosey", "--yes"}, as("reader")...)...)
		if want := `the account may not publish to "$JS.API.STREAM.DELETE.rosey_events"`; code != exit.Failure ||
			!strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %s%s", code, out, stderr)
		}
		out = mustCall(t, append([]string{"nats", "remove", "rosey", "--yes"}, as(name)...)...)
		if out != "stream rosey_events: removed\nbucket rosey_locks: removed\n" {
			t.Errorf("%s: %s", name, out)
		}
	}
	code, out, stderr := call(t, append([]string{"nats", "list"}, as("admin")...)...)
	if want := fmt.Sprintf("listing the streams: the account may not publish to %q", "$JS.API.STREAM.LIST"); code !=
		exit.Failure || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
}
