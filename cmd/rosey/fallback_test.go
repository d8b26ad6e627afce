package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// fallbackRig is a bot and a service with NATS between them, and one PostgreSQL database for both.
type fallbackRig struct {
	t       *testing.T
	nats    *natstest.Server
	channel *simulator.Channel
	site    string
	url     string // the file with the database's URL
	bot     *roseyProcess
	lines   atomic.Int64
}

func newFallbackRig(t *testing.T, jetStream bool) *fallbackRig {
	t.Helper()
	sim, site := simulatortest.Start(t, simulator.Options{Accounts: []simulator.Account{
		{Name: "Rosey", Password: "hush-hush", Rank: 3}, {Name: "mod", Rank: 2},
	}})
	r := &fallbackRig{
		t: t, url: pgtest.Use(t).URLFile(t), channel: sim.Channel("movienight"), site: site,
		nats: natstest.Start(t, func(o *server.Options) { o.JetStream, o.StoreDir = jetStream, t.TempDir() }),
	}
	if err := r.channel.Join("mod"); err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.bot = start(t, append([]string{"bot", "--username", "Rosey", "--password-file", password,
		"--database-direct-fallback"}, r.flags()...)...)
	return r
}

func (r *fallbackRig) flags() []string {
	return []string{
		"--server", r.site, "--channel", "movienight", "--nats", r.nats.URL(), "--http", "127.0.0.1:0",
		"--database-postgres-url-file", r.url, "--log-level", "debug",
	}
}

func (r *fallbackRig) startService() *roseyProcess {
	r.t.Helper()
	return start(r.t, append([]string{"db"}, r.flags()...)...)
}

// chat makes a user talk without a pause until stop is called.
func (r *fallbackRig) chat() (stop func()) {
	stopped := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-ticker.C:
			}
			if _, err := r.channel.Say("mod", strconv.Itoa(int(r.lines.Load()))); err != nil {
				r.t.Error(err)
				return
			}
			r.lines.Add(1)
		}
	})
	return sync.OnceFunc(func() { close(stopped); talking.Wait() })
}

// awaitMoreLines waits until count more lines have been said.
func (r *fallbackRig) awaitMoreLines(count int64) {
	r.t.Helper()
	target := r.lines.Load() + count
	natstest.Eventually(r.t, "more lines", func() bool { return r.lines.Load() >= target })
}

// awaitCounter waits until a counter of the bot has grown by 20.
func (r *fallbackRig) awaitCounter(metric string) {
	r.t.Helper()
	value := func() (number float64) {
		_, metrics := r.bot.get(status.MetricsPath)
		for line := range strings.Lines(metrics) {
			if text, is := strings.CutPrefix(line, metric+`{subject="db.message.log"} `); is {
				number, _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
			}
		}
		return number
	}
	before := value()
	natstest.Eventually(r.t, metric, func() bool { return value() > before+20 })
}

func (r *fallbackRig) rows() channelRows {
	r.t.Helper()
	opened, err := postgres.OpenReadOnly(r.t.Context(), r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	rows, err := readChannel(r.t.Context(), opened, r.movienight(), math.MaxInt32)
	if err != nil {
		r.t.Fatal(err)
	}
	return rows
}

func (r *fallbackRig) movienight() store.Channel {
	return store.Channel{Server: r.site, Name: "movienight"}
}

func (r *fallbackRig) enqueue(text string) {
	r.t.Helper()
	opened, err := postgres.Open(r.t.Context(), r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	_, err = opened.Enqueue(r.t.Context(), r.movienight(), store.OutboundLine{Text: text, At: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
}

// awaitSaid waits until the bot has said exactly these lines in the channel.
func (r *fallbackRig) awaitSaid(texts ...string) {
	r.t.Helper()
	natstest.Eventually(r.t, "the bot to say "+fmt.Sprint(texts), func() bool {
		var got []string
		for _, entry := range r.channel.Log() {
			if entry.Kind == "chat" && entry.User == "Rosey" {
				got = append(got, entry.Text)
			}
		}
		return cmp.Equal(texts, got)
	})
}

func (r *fallbackRig) awaitReason(check status.CheckName, reason status.Reason) {
	r.t.Helper()
	natstest.Eventually(r.t, string(check)+" "+string(reason), func() bool {
		return slices.ContainsFunc(r.bot.report().Checks, func(c status.Check) bool {
			return c.Name == check && c.Reason == reason
		})
	})
}

// TestFallbackUnderLoad stops NATS and then the service, and starts them again, while users talk.
func TestFallbackUnderLoad(t *testing.T) {
	t.Parallel()
	for name, jetStream := range map[string]bool{"core NATS": false, "JetStream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFallbackRig(t, jetStream)
			r.run(jetStream)
		})
	}
}

func (r *fallbackRig) run(jetStream bool) {
	r.t.Helper()
	service := r.startService()
	r.bot.waitFor(status.ReasonReady)
	service.waitFor(status.ReasonReady)
	stopChat := r.chat()
	defer stopChat()
	r.enqueue("over NATS")
	r.awaitSaid("over NATS")
	said := []string{"over NATS"}
	for round := range 2 {
		r.awaitCounter("rosey_bus_published_total")
		r.nats.Stop()
		r.awaitReason(status.NATSCheck, status.ReasonNATSUnreachable)
		r.awaitReason(status.ServiceCheck, status.ReasonDirect)
		r.awaitCounter("rosey_bus_stored_directly_total")
		said = append(said, fmt.Sprintf("past NATS %d", round))
		r.enqueue(said[len(said)-1])
		r.awaitSaid(said...)
		r.nats.Restart()
		r.bot.waitFor(status.ReasonReady)
	}
	r.awaitCounter("rosey_bus_published_total")
	service.end(syscall.SIGKILL)
	if jetStream {
		r.awaitCounter("rosey_bus_published_total") // into the stream
	} else {
		r.awaitReason(status.ServiceCheck, status.ReasonDirect)
		r.awaitCounter("rosey_bus_stored_directly_total")
	}
	said = append(said, "past the service")
	r.enqueue(said[len(said)-1])
	r.awaitSaid(said...)
	service = r.startService()
	r.awaitReason(status.ServiceCheck, status.ReasonServiceAnswers)
	r.awaitMoreLines(50)
	stopChat()
	r.awaitAllStored()
	if code := r.bot.end(syscall.SIGTERM); code != exit.Clean {
		r.t.Errorf("the bot's exit code is %d", code)
	}
	if code := service.end(syscall.SIGTERM); code != exit.Clean {
		r.t.Errorf("the service's exit code is %d", code)
	}
	r.check(said)
}

// awaitAllStored waits until as many lines are stored as were said. The stream delivers what the killed service had
// received again, when the acknowledgement is overdue.
func (r *fallbackRig) awaitAllStored() {
	r.t.Helper()
	const timeout = time.Minute
	stored := 0
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		stored = 0
		for _, line := range r.rows().Chat {
			if line.Username == "mod" {
				stored++
			}
		}
		if stored >= int(r.lines.Load()) {
			return
		}
	}
	r.t.Errorf("after %s, of %d lines only %d are stored", timeout, r.lines.Load(), stored)
}

// check compares the lines that were said with those that are stored.
func (r *fallbackRig) check(said []string) {
	r.t.Helper()
	rows := r.rows()
	stored := map[string][]string{}
	for _, line := range rows.Chat {
		stored[line.Username] = append(stored[line.Username], line.Text)
	}
	var want []string
	for i := range r.lines.Load() {
		want = append(want, strconv.Itoa(int(i)))
	}
	for _, lines := range [][]string{want, stored["mod"]} { // lines of one millisecond have no order
		slices.Sort(lines)
	}
	if diff := cmp.Diff(map[string][]string{"mod": want, "Rosey": said}, stored); diff != "" {
		r.t.Errorf("lines (-want +got):\n%s", diff)
	}
	if top := rows.TopChatters; len(top) == 0 || top[0] != (chatterRow{"mod", len(want)}) {
		r.t.Errorf("chatters %+v, want mod with %d lines", top, len(want))
	}
	for _, user := range rows.Users {
		if user.SessionStart != 0 {
			r.t.Errorf("the session of %s is open after the end", user.Username)
		}
	}
	for _, route := range []string{ // at debug level the log names the route of each message
		"[NATS] published db.message.log", "[DB] stored db.message.log",
		"[NATS] answered db.messages.outbound.get", "[DB] answered db.messages.outbound.get",
	} {
		if !strings.Contains(fmt.Sprint(r.bot.log()), route) {
			r.t.Errorf("the bot's log has no %q", route)
		}
	}
}
