package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// What a plugin that does all that plugins can is granted, and the RoseyBot that has it.
const (
	everythingGrants = `{events: [message, user_join], say: true, queue: true, state: [users, media, playlist], ` +
		`act: [{verb: poll.open}, {verb: poll.close}, {verb: kick, rank: 2}]}`
	everythingBots = `apiVersion: rosey.dev/v1alpha1
kind: RoseyBot
metadata: {namespace: films, name: movienight}
spec:
  nats:
    credentialsSecretRef: {name: bot-login}
    jetStream: {mode: Never}
  database: {natsCredentialsSecretRef: {name: db-login}}
  channel: {name: movienight}
  plugins: [{name: sums, natsCredentialsSecretRef: {name: sums-login}, grants: ` + everythingGrants + `}]
`
)

// newEverything returns the plugin. Its errors and events go to the channels.
func newEverything(events, done chan<- string) *plugin.Plugin {
	p := plugin.New("sums", "1.0.0")
	tell := func(_ context.Context, e *plugin.Event) error {
		if e.User.Name == "dora" {
			events <- e.Name
		}
		return nil
	}
	p.On(plugin.Message, tell)
	p.On(plugin.UserJoined, tell)
	p.Command(plugin.Command{Name: "all", Timeout: time.Minute}, func(ctx context.Context, c *plugin.Call) (
		plugin.Reply, error,
	) {
		_, usersErr := c.State(ctx, plugin.Users)
		_, mediaErr := c.State(ctx, plugin.Media)
		_, playlistErr := c.State(ctx, plugin.Playlist)
		sum, addErr := c.KV().Add(ctx, "n", 1)
		revision, setErr := c.KV().Set(ctx, "text", "hello")
		_, getErr := c.KV().Get(ctx, "text", new(string))
		var listErr error
		for _, err := range c.KV().List(ctx, "") {
			listErr = errors.Join(listErr, err)
		}
		poll := plugin.Action{Title: "What?", Options: []string{"this", "that"}}
		err := errors.Join(usersErr, mediaErr, playlistErr, addErr, setErr, getErr, listErr,
			c.KV().DeleteIf(ctx, "text", revision), c.Say(ctx, "said"), c.Whisper(ctx, c.User.Name, "whispered"),
			c.Queue(ctx, "queued"), c.Act(ctx, plugin.PollOpen, poll), c.Act(ctx, plugin.PollClose, plugin.Action{}),
			c.Act(ctx, plugin.Kick, plugin.Action{User: "dora"}))
		return plugin.Text("sum %d", sum), err
	})
	p.Command(plugin.Command{Name: "hang", Timeout: 300 * time.Millisecond}, func(ctx context.Context, _ *plugin.Call) (
		plugin.Reply, error,
	) {
		<-ctx.Done()
		done <- context.Cause(ctx).Error()
		return plugin.Reply{}, ctx.Err()
	})
	return p
}

// TestAPluginDoesEverythingUnderItsPermissions runs a bot, a database service and a plugin of the SDK, each as the user
// that was issued for it, and has the plugin do all that it is granted: the server refuses nothing.
func TestAPluginDoesEverythingUnderItsPermissions(t *testing.T) {
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		t.Run(string(target), func(t *testing.T) {
			t.Parallel()
			r := newIssuedRigOf(t, string(target), everythingBots, "never")
			db := r.startService()
			db.waitFor(status.ReasonReady)
			bot := r.startBot(false, "--commands-cooldown-seconds", "0", "--plugins",
				"[{name: sums, grants: "+everythingGrants+"}]")
			bot.waitFor(status.ReasonReady)
			events, done := make(chan string, 10), make(chan string, 1)
			r.runPlugin(newEverything(events, done))
			r.awaitPlugin(bot, status.ReasonReady)
			for _, check := range bot.report().Checks {
				if check.Name == status.PluginsCheck && check.Reason != status.ReasonReady {
					t.Errorf("%+v", check)
				}
			}
			r.everything(bot, events, done)
			for _, violation := range r.denied() {
				if !isTried(violation) {
					t.Errorf("the server denied: %s", violation)
				}
			}
		})
	}
}

// isTried reports whether a denial is one that a plugin provokes: it finds out whether its permissions are too wide,
// and nobody may ask all services.
func isTried(violation string) bool {
	return strings.Contains(violation, ".plugin.movienight._.in.call.permissions") ||
		slices.ContainsFunc([]string{"INFO", "PING", "STATS"}, func(verb string) bool {
			return strings.Contains(violation, `"$SRV.`+verb+`"`)
		})
}

// runPlugin runs a plugin in this process until the test ends, as its user.
func (r *issuedRig) runPlugin(p *plugin.Plugin) {
	r.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	var running sync.WaitGroup
	var err error
	running.Go(func() {
		err = plugin.Execute(ctx, p, []string{"--channel", "movienight", "--server", r.site, "--nats", r.nats.URL(),
			"--prefix", r.prefix, "--http", "127.0.0.1:0", "--nats-credentials-dir", r.secret("sums-login")},
			io.Discard, io.Discard)
	})
	r.Cleanup(func() {
		stop()
		running.Wait()
		if err != nil {
			r.Error(err)
		}
	})
}

// awaitPlugin waits until the bot says something of its only plugin.
func (r *issuedRig) awaitPlugin(bot *roseyProcess, reason status.Reason) {
	r.Helper()
	natstest.Within(r.T, 30*time.Second, "the plugin: "+string(reason), func() bool {
		plugins := bot.report().Plugins
		return len(plugins) == 1 && plugins[0].Reason == reason
	})
}

// everything has the plugin do all that it can.
func (r *issuedRig) everything(bot *roseyProcess, events, done <-chan string) {
	r.Helper()
	movies := r.sim.Channel("movienight")
	must := func(err error) {
		r.Helper()
		if err != nil {
			r.Fatal(err)
		}
	}
	for _, name := range []string{"mod", "dora"} {
		must(movies.Join(name))
	}
	if got := <-events; got != plugin.UserJoined {
		r.Errorf("the event %s", got)
	}
	say := func(user, text string) {
		r.Helper()
		_, err := movies.Say(user, text)
		must(err)
	}
	say("dora", "hello")
	if got := <-events; got != plugin.Message {
		r.Errorf("the event %s", got)
	}
	say("mod", "!hang")
	if cause := <-done; !strings.Contains(cause, "deadline") {
		r.Errorf("the call ended: %s", cause)
	}
	natstest.Eventually(r.T, "the end of the call", func() bool {
		return slices.Contains(linesOf(movies), "!hang: the plugin did not answer in time")
	})
	say("mod", "!all")
	natstest.Within(r.T, 30*time.Second, "all that the plugin says", func() bool {
		said := linesOf(movies)
		return slices.Contains(said, "sum 1") && slices.Contains(said, "said") && slices.Contains(said, "queued")
	})
	_, metrics := bot.get(status.MetricsPath)
	for _, request := range []string{"say", "queue", "act", "state", "hello"} {
		if !strings.Contains(metrics, fmt.Sprintf(
			`rosey_bot_plugin_requests_total{outcome="done",plugin="sums",request=%q}`, request)) {
			r.Errorf("no %s", request)
		}
	}
}

// TestTracesGoThroughCallsOfPlugins follows a call from the bot to the handler, each in a process of its own.
func TestTracesGoThroughCallsOfPlugins(t *testing.T) {
	t.Parallel()
	collector := otlptest.GRPC(t)
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	server := natstest.Start(t)
	_, err := server.Client().Subscribe("rosey.db.messages.outbound.get",
		func(m *nats.Msg) { _ = m.Respond([]byte("[]")) })
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := tracing(collector.URL, config.OTLPGRPC)
	const list = `[{name: dice, builtin: dice}]`
	file := writeBotConfig(t, site, server.URL(), password)
	bot := startWithEnv(t, environment, "bot", "--config", file, "--plugins", list)
	host := startWithEnv(t, environment, "plugin", "dice", "--channel", "movienight", "--server", site, "--nats",
		server.URL(), "--http", "127.0.0.1:0")
	bot.waitFor(status.ReasonReady)
	natstest.Within(t, 30*time.Second, "the plugin", func() bool {
		plugins := bot.report().Plugins
		return len(plugins) == 1 && plugins[0].Reason == status.ReasonReady
	})
	channel := sim.Channel("movienight")
	if err := channel.Join("alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := channel.Say("alice", "!roll 1d1"); err != nil {
		t.Fatal(err)
	}
	var caller, callee otlptest.Span
	collector.Await(t, "both spans of the call", func(spans []otlptest.Span) bool {
		find := func(name string) (found otlptest.Span, ok bool) {
			at := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Name == name })
			if at < 0 {
				return found, false
			}
			return spans[at], true
		}
		var ok, okToo bool
		caller, ok = find("call plugin dice")
		callee, okToo = find("call roll")
		return ok && okToo
	})
	if callee.Trace() != caller.Trace() || callee.Parent() != caller.ID() || caller.Kind != kindClient ||
		callee.Kind != kindServer || callee.Service != "rosey-plugin-dice" || caller.Service == callee.Service {
		t.Errorf("the plugin's span %v of %s is no child of the bot's %v", callee, callee.Service, caller)
	}
	for _, process := range []*roseyProcess{host, bot} {
		if code := process.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d\n%v", code, process.log())
		}
	}
}
