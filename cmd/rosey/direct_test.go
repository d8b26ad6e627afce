package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// directRig is a channel and a database file, for bots without NATS.
type directRig struct {
	t        *testing.T
	channel  *simulator.Channel
	database string
	file     string
	site     string
}

func newDirectRig(t *testing.T) *directRig {
	t.Helper()
	sim, site := simulatortest.Start(t, simulator.Options{Accounts: []simulator.Account{
		{Name: "Rosey", Password: "hush-hush", Rank: 3}, {Name: "mod", Rank: 2},
	}})
	dir := t.TempDir()
	r := &directRig{
		t: t, channel: sim.Channel("movienight"), database: filepath.Join(dir, "rosey.db"),
		file: filepath.Join(dir, config.BotFile), site: site,
	}
	password := filepath.Join(dir, "password")
	content := fmt.Sprintf(`channel: {server: %q, name: movienight}
account: {username: Rosey, passwordFile: %q}
mode: direct
database: {sqlite: {path: %q}}
http: {address: "127.0.0.1:0"}
logLevel: debug
`, site, password, r.database)
	for name, text := range map[string]string{r.file: content, password: "hush-hush\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *directRig) start() *roseyProcess {
	r.t.Helper()
	return start(r.t, "bot", "--config", r.file)
}

// say makes the moderator say a line.
func (r *directRig) say(text string) {
	r.t.Helper()
	if _, err := r.channel.Say("mod", text); err != nil {
		r.t.Fatal(err)
	}
}

// said returns the lines that the bot has said in the channel.
func (r *directRig) said() (texts []string) {
	for _, entry := range r.channel.Log() {
		if entry.Kind == "chat" && entry.User == "Rosey" {
			texts = append(texts, entry.Text)
		}
	}
	return texts
}

// rows returns the content of the database, also while the bot runs.
func (r *directRig) rows() channelRows {
	r.t.Helper()
	return showData(r.t, "--server", r.site, "--channel", "movienight", "--database", r.database, "--limit", "0")
}

// awaitStored waits until the database has exactly these lines of users other than the bot. Lines of one millisecond
// have no order.
func (r *directRig) awaitStored(texts ...string) {
	r.t.Helper()
	slices.Sort(texts)
	var diff string
	defer func() {
		if r.t.Failed() {
			r.t.Log(diff)
		}
	}()
	natstest.Eventually(r.t, "the lines in the database", func() bool {
		var got []string
		for _, line := range r.rows().Chat {
			if line.Username != "Rosey" {
				got = append(got, line.HTML)
			}
		}
		slices.Sort(got)
		diff = cmp.Diff(texts, got)
		return diff == ""
	})
}

// TestDirectBotFromStartToEnd: events, requests, outbound lines and the shutdown work without NATS.
func TestDirectBotFromStartToEnd(t *testing.T) {
	t.Parallel()
	r := newDirectRig(t)
	r.enqueue("from the queue")
	p := r.start()
	report := p.waitFor(status.ReasonReady)
	var checks []string
	for _, check := range report.Checks {
		checks = append(checks, fmt.Sprintf("%s %s", check.Name, check.Reason))
	}
	want := []string{"store StoreOpen", "service Direct", "channel Joined", "plugins Ready"}
	if diff := cmp.Diff(want, checks); diff != "" {
		t.Errorf("checks: %s", diff)
	}
	checkOnlyListener(t, p, p.url(""))
	natstest.Eventually(t, "the line to say", func() bool { return len(r.said()) == 1 })
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	r.say("hello <3")
	r.awaitStored("hello &lt;3")
	r.say("!stats")
	natstest.Eventually(t, "an answer", func() bool { return len(r.said()) == 2 })
	if answer := r.said()[1]; !strings.HasPrefix(answer, "mod: ") || !strings.Contains(answer, "line") {
		t.Errorf("answer %q", answer)
	}
	if _, metrics := p.get(status.MetricsPath); !strings.Contains(metrics,
		`rosey_database_messages_total{outcome="stored",subject="db.message.log"}`) ||
		strings.Contains(metrics, "rosey_bus_connected") {
		t.Error("the metrics are not those of a bot with a database and without NATS")
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
	rows := r.rows()
	if string(rows.Status["bot_connected"]) != "false" || rows.HighWater.Chat == 0 {
		t.Errorf("after the end: status %s, records %+v", rows.Status, rows.HighWater)
	}
	for _, user := range rows.Users {
		if user.SessionStart != 0 {
			t.Errorf("the session of %s is open after the end", user.Username)
		}
	}
	if queued := r.queued(); len(queued) > 0 {
		t.Errorf("the line that was said is still queued: %+v", queued)
	}
	logged := fmt.Sprint(p.log())
	for text, want := range map[string]bool{
		"[DB] stored db.message.log": true, "[DB] answered db.query.user_stats": true, "[NATS]": false, "hush-hush": false,
	} {
		if strings.Contains(logged, text) != want {
			t.Errorf("%q in the log is %v: %s", text, !want, logged)
		}
	}
}

// TestDirectBotIsKilled: lines are said while no bot runs. CyTube repeats them to the next one, together with some that
// the killed one may have stored.
func TestDirectBotIsKilled(t *testing.T) {
	t.Parallel()
	r := newDirectRig(t)
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	var want []string
	say := func(text string) {
		r.say(text)
		want = append(want, text)
	}
	for life := range 3 {
		p := r.start()
		p.waitFor(status.ReasonReady)
		for i := range 4 {
			say(fmt.Sprintf("%d.%d", life, i))
		}
		p.end(syscall.SIGKILL)
		say(fmt.Sprintf("%d without a bot", life))
	}
	p := r.start()
	r.awaitStored(want...)
	p.end(syscall.SIGTERM)
	r.awaitStored(want...)
	if top := r.rows().TopChatters; len(top) == 0 || top[0] != (chatterRow{"mod", len(want)}) {
		t.Errorf("chatters %+v, want mod with %d lines", top, len(want))
	}
}

// TestDirectBotWaitsForItsDatabase: while another process has the database file open, the bot joins its channel and
// queues the events.
func TestDirectBotWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	r := newDirectRig(t)
	other := start(t, "db", "--config", writeConfig(t, filepath.Dir(r.database), natstest.Start(t).URL()))
	other.waitFor(status.ReasonReady)
	p := r.start()
	report := p.waitFor(status.ReasonStoreUnavailable)
	if !strings.Contains(report.Message, fmt.Sprintf("is locked by process %d", other.command.Process.Pid)) {
		t.Errorf("message %q", report.Message)
	}
	natstest.Eventually(t, "the bot in the channel", func() bool { return len(r.channel.Users()) == 1 })
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	r.say("early")
	r.say("!stats")
	natstest.Eventually(t, "an answer without a database", func() bool { return len(r.said()) == 1 })
	if lines := r.rows().Chat; len(lines) > 0 {
		t.Errorf("stored: %+v", lines)
	}
	other.end(syscall.SIGTERM)
	p.waitFor(status.ReasonReady)
	r.awaitStored("early", "!stats")
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}

// TestDirectBotWithPostgreSQL creates the file with the database's URL after the start, as a Secret may be.
func TestDirectBotWithPostgreSQL(t *testing.T) {
	t.Parallel()
	r := newDirectRig(t)
	server := pgtest.Use(t)
	url := filepath.Join(t.TempDir(), "url")
	p := start(t, "bot", "--mode", "direct", "--server", r.site, "--channel", "movienight",
		"--database-postgres-url-file", url, "--http", "127.0.0.1:0")
	p.waitFor(status.ReasonStoreURLAbsent)
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	r.say("early")
	if err := os.WriteFile(url, []byte(server.Database(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.waitFor(status.ReasonReady)
	r.say("late")
	// PostgreSQL, unlike SQLite, permits a second writer.
	opened, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	natstest.Eventually(t, "both lines", func() bool {
		lines, err := opened.RecentChat(t.Context(), store.Channel{Server: r.site, Name: "movienight"}, 10)
		return err == nil && len(lines) == 2
	})
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}

func TestRunWithoutNATS(t *testing.T) {
	t.Parallel()
	r := newDirectRig(t)
	data := filepath.Dir(r.database)
	p := start(t, "run", "--mode", "direct", "--channel", "movienight", "--server", r.site, "--username", "Guest",
		"--data", data, "--http", "127.0.0.1:0")
	if report := p.waitFor(status.ReasonReady); report.Component != status.RunComponent || len(report.Checks) != 4 {
		t.Errorf("status: %+v", report)
	}
	if !strings.Contains(p.output(), "NATS      none (mode direct)") {
		t.Errorf("the banner does not show that there is no NATS:\n%s", p.output())
	}
	checkOnlyListener(t, p, p.url(""))
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	r.say("hello")
	r.awaitStored("hello")
	if code := p.end(syscall.SIGINT); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
	code, _, stderr := call(t, "run", "--mode", "direct", "--channel", "m", "--data", data, "--listen", "127.0.0.1:0")
	if code != exit.Usage || !strings.Contains(stderr, "--listen: mode direct has no NATS server") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func (r *directRig) enqueue(text string) {
	r.t.Helper()
	r.open(func(opened *sqlite.Store, channel store.Channel) error {
		_, err := opened.Enqueue(r.t.Context(), channel, store.OutboundLine{Text: text, At: time.Now()})
		return err
	})
}

// queued returns the lines that the bot has not said yet.
func (r *directRig) queued() (lines []store.OutboundMessage) {
	r.t.Helper()
	r.open(func(opened *sqlite.Store, channel store.Channel) (err error) {
		lines, err = opened.Outbound(r.t.Context(), channel, store.OutboundQuery{
			Limit: 10, MaxRetries: store.MaxAttempts, Now: time.Now().Add(time.Hour),
		})
		return err
	})
	return lines
}

// open opens the database while no bot has it open.
func (r *directRig) open(use func(*sqlite.Store, store.Channel) error) {
	r.t.Helper()
	opened, err := sqlite.Open(r.t.Context(), r.database)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := errors.Join(use(opened, store.Channel{Server: r.site, Name: "movienight"}), opened.Close()); err != nil {
		r.t.Fatal(err)
	}
}
