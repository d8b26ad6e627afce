package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// killRig is a channel in which alice talks, a NATS server with JetStream, and processes to kill.
type killRig struct {
	t     *testing.T
	sim   *simulator.Server
	site  string
	nats  *natstest.Server
	dir   string
	bot   *roseyProcess
	db    *roseyProcess
	store []string // the flags with the location of the database
	said  []string
	// botEnvironment and serviceEnvironment are variables of the processes, as NAME=value.
	botEnvironment, serviceEnvironment []string
	events                             jetstream.JetStream
}

func newKillRig(t *testing.T) *killRig {
	t.Helper()
	r := &killRig{t: t, nats: natstest.Start(t, natstest.JetStream(t)), dir: t.TempDir()}
	r.store = []string{"--database", filepath.Join(r.dir, "rosey.db")}
	r.sim, r.site = simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	if err := os.WriteFile(filepath.Join(r.dir, "password"), []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.events, err = jetstream.New(r.nats.Client()); err != nil {
		t.Fatal(err)
	}
	if err := r.sim.Channel("movienight").Join("alice"); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *killRig) startBot() {
	r.t.Helper()
	r.bot = startWithEnv(r.t, r.botEnvironment, "bot", "--channel", "movienight", "--server", r.site,
		"--nats", r.nats.URL(), "--username", "Rosey", "--password-file", filepath.Join(r.dir, "password"),
		"--http", "127.0.0.1:0")
}

func (r *killRig) startService() {
	r.t.Helper()
	r.db = startWithEnv(r.t, r.serviceEnvironment, append([]string{"db", "--channel", "movienight", "--server", r.site,
		"--nats", r.nats.URL(), "--http", "127.0.0.1:0"}, r.store...)...)
}

func (r *killRig) say(count int) {
	r.t.Helper()
	for range count {
		text := fmt.Sprintf("line %05d", len(r.said))
		if _, err := r.sim.Channel("movienight").Say("alice", text); err != nil {
			r.t.Fatal(err)
		}
		r.said = append(r.said, text)
	}
}

// awaitStreamed waits until the stream has every line that was said.
func (r *killRig) awaitStreamed() {
	r.t.Helper()
	natstest.Within(r.t, 30*time.Second, "the stream to have all lines", func() bool {
		stream, err := r.events.Stream(r.t.Context(), "rosey_events")
		if err != nil {
			return false
		}
		const lines = "rosey.db.message.log"
		info, err := stream.Info(r.t.Context(), jetstream.WithSubjectFilter(lines))
		return err == nil && info.State.Subjects[lines] >= uint64(len(r.said))
	})
}

// compare waits until everything is stored, and compares the database with the lines that were said.
func (r *killRig) compare() {
	r.t.Helper()
	r.awaitStreamed()
	r.awaitStored()
	flags := append([]string{"--server", r.site, "--channel", "movienight", "--limit", "0"}, r.store...)
	content := showData(r.t, flags...)
	var got []string
	for _, line := range content.Chat {
		got = append(got, line.Text)
	}
	slices.Sort(got) // lines of one millisecond have no order
	if diff := cmp.Diff(r.said, got); diff != "" {
		r.t.Errorf("lines (-said +stored):\n%s", diff)
	}
	for _, user := range content.Users {
		if user.Username == "alice" && user.Lines != len(r.said) {
			r.t.Errorf("alice has %d lines, want %d", user.Lines, len(r.said))
		}
	}
}

// awaitStored waits until the service has acknowledged everything that is in the stream.
func (r *killRig) awaitStored() {
	r.t.Helper()
	natstest.Within(r.t, 30*time.Second, "all events to be stored", func() bool {
		stream, err := r.events.Stream(r.t.Context(), "rosey_events")
		if err != nil {
			return false
		}
		consumer, err := stream.Consumer(r.t.Context(), "rosey_db")
		// Not the numbers of pending messages, which a server that has just started may not know yet.
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= stream.CachedInfo().State.LastSeq
	})
}

// Events in the stream survive the bot, and a service that is killed in the middle of a backlog stores the rest after
// its restart.
func TestKilledProcessesLoseNothingInTheStream(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	r.say(50)
	r.db.end(syscall.SIGKILL)
	r.say(400)
	r.awaitStreamed()
	r.bot.end(syscall.SIGKILL)
	for range 3 { // the backlog takes several attempts
		r.startService()
		r.db.url("") // it has started
		r.db.end(syscall.SIGKILL)
	}
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	r.say(50)
	r.compare()
}

// Bot and service are killed and NATS is restarted at once, in the middle of a conversation.
func TestKillingEverythingLosesNothing(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	for range 3 {
		r.say(200)
		r.awaitStreamed()
		r.db.end(syscall.SIGKILL)
		r.say(10) // CyTube repeats the last fifteen when the bot joins
		r.bot.end(syscall.SIGKILL)
		r.nats.Stop()
		r.say(4)
		r.nats.Restart()
		r.startBot()
		r.startService()
		r.bot.waitFor(status.ReasonReady)
		r.db.waitFor(status.ReasonReady)
	}
	r.say(20)
	r.compare()
}

// NATS restarts while users talk.
func TestNATSRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	for range 3 {
		r.say(100)
		r.nats.Stop()
		r.say(100)
		r.nats.Restart()
		r.say(100)
	}
	r.compare()
}

// Two services share the stream and a PostgreSQL database. Each is stopped or killed, and replaced.
func TestReplacingServicesOnPostgreSQLLosesNothing(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	r.store = []string{"--database-postgres-url-file", pgtest.Use(t).URLFile(t)}
	r.startService()
	other := r.db
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	for i := range 6 {
		r.say(100)
		how := []os.Signal{syscall.SIGTERM, syscall.SIGKILL}[i%2]
		other.end(how)
		other = r.db
		r.say(100)
		r.startService()
		r.db.waitFor(status.ReasonReady)
	}
	r.compare()
}
