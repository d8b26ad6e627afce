package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
)

const long = 20 * time.Second

func command(name string) plugin.Command { return plugin.Command{Name: name} }

func echo(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	return plugin.Text("%s %v %s %q %q", c.User.Name, c.User.Rank, c.Via, c.Args, c.Text), nil
}

func TestACallIsAnswered(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1.2.3")
	p.Command(command("echo"), echo)
	p.Command(command("quiet"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		return plugin.Lines("one", "two").Privately().WithoutCooldown(), nil
	})
	p.Command(command("nothing"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		return plugin.Reply{}, nil
	})
	r := start(t, p)
	if o := r.call("echo", "alice", "1"); len(o.Lines) != 1 ||
		o.Lines[0] != `alice 1 chat "a b" "!echo a b"` || o.To != "" || o.Cooldown != nil {
		t.Errorf("%+v", o)
	}
	if o := r.call("quiet", "alice", "2"); !slices.Equal(o.Lines, []string{"one", "two"}) || o.To != "pm" ||
		o.Cooldown == nil || *o.Cooldown {
		t.Errorf("%+v", o)
	}
	if o := r.call("nothing", "alice", "3"); o.err != nil || o.code != "" || len(o.Lines) > 0 {
		t.Errorf("%+v", o)
	}
	if check := p.Check(); !check.OK || check.Name != "plugin-test" {
		t.Errorf("%+v", check)
	}
}

func TestErrorsOfHandlers(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	fails := func(name string, reply plugin.Reply, err error) {
		p.Command(command(name), func(context.Context, *plugin.Call) (plugin.Reply, error) { return reply, err })
	}
	fails("usage", plugin.Reply{}, fmt.Errorf("wrapped: %w", plugin.Usage("expected\na \u202enumber")))
	fails("failed", plugin.Reply{}, errors.New("the disk is on\nfire"))
	fails("key", plugin.Reply{}, fmt.Errorf("asking: %w",
		&url.Error{Op: "Get", URL: "https://api.example/?key=SECRET", Err: errors.New("no answer")}))
	fails("many", plugin.Lines("1", "2", "3", "4", "5", "6"), nil)
	fails("wide", plugin.Text("%s", strings.Repeat("🎲", 161)), nil)
	fails("fits", plugin.Text("%s", strings.Repeat("🎲", 160)), nil)
	fails("slash", plugin.Text("/clear"), nil)
	fails("feed", plugin.Text("a\nb"), nil)
	fails("empty", plugin.Text(" "), nil)
	p.Command(command("panic"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		panic("a secret of " + t.Name())
	})
	r := start(t, p)
	for name, want := range map[string]struct{ code, description string }{
		"usage":  {bus.CodeUsage, "expected a number"},
		"failed": {bus.CodeInternal, "the disk is on fire"},
		"key":    {bus.CodeInternal, `asking: Get (URL): no answer`},
		"many":   {bus.CodeInternal, "the reply: 6 lines, expected at most 5"},
		"wide":   {bus.CodeInternal, "the reply: line 1: 322 UTF-16 code units, expected at most 320"},
		"fits":   {},
		"slash":  {bus.CodeInternal, "the reply: line 1: it begins with /, which would be a command to the server"},
		"feed":   {bus.CodeInternal, "the reply: line 1: it has a line feed"},
		"empty":  {bus.CodeInternal, "the reply: line 1: it is empty"},
		"panic":  {bus.CodeInternal, "the handler panicked"},
	} {
		o := r.call(name, "alice", name)
		// Printable text has a space or nothing in place of what it leaves out.
		got := strings.Join(strings.Fields(strings.ReplaceAll(o.description, "\ufffd", " ")), " ")
		if o.err != nil || o.code != want.code || got != want.description {
			t.Errorf("%s: %+v", name, o)
		}
	}
	// The plugin goes on.
	if o := r.call("fits", "alice", "again"); o.err != nil || len(o.Lines) != 1 {
		t.Errorf("%+v", o)
	}
}

// blocking is a handler that runs until its context ends, or until it is released.
type blocking struct {
	running chan context.Context
	release chan struct{}
}

func newBlocking() *blocking {
	return &blocking{running: make(chan context.Context, 100), release: make(chan struct{})}
}

func (b *blocking) handle(ctx context.Context, _ *plugin.Call) (plugin.Reply, error) {
	b.running <- ctx
	select {
	case <-b.release:
		return plugin.Text("done"), nil
	case <-ctx.Done():
		return plugin.Text("late"), nil
	}
}

// wait returns the context of the next call.
func (b *blocking) wait(t *testing.T) context.Context {
	t.Helper()
	select {
	case ctx := <-b.running:
		return ctx
	case <-time.After(long):
		t.Fatal("no call")
		return nil
	}
}

func TestCallsAreBoundedAndOnePerPerson(t *testing.T) {
	t.Parallel()
	p, b := plugin.New("test", "1"), newBlocking()
	p.Command(command("wait"), b.handle)
	p.Command(command("echo"), echo)
	r := start(t, p)
	results := make(chan outcome, bus.MaxPluginCalls)
	call := func(user string) { results <- r.call("wait", user, user) }
	go call("alice")
	b.wait(t)
	for _, id := range []string{"other", "alice"} {
		if o := r.call("echo", "ALICE", id); o.code != bus.CodeBusy {
			t.Errorf("a second call of a person: %+v", o)
		}
	}
	if o := r.call("echo", "bob", "alice"); o.code != bus.CodeBusy {
		t.Errorf("a second call with the same ID: %+v", o)
	}
	if o := r.call("echo", "bob", "bob"); len(o.Lines) != 1 {
		t.Errorf("a call beside a slow one: %+v", o)
	}
	for i := range bus.MaxPluginCalls - 1 {
		go call(fmt.Sprint("user", i))
		b.wait(t)
	}
	if o := r.call("echo", "bob", "bob"); o.code != bus.CodeBusy {
		t.Errorf("one call more than there may be: %+v", o)
	}
	close(b.release)
	for range bus.MaxPluginCalls {
		if o := <-results; len(o.Lines) != 1 || o.Lines[0] != "done" {
			t.Errorf("%+v", o)
		}
	}
	eventually(t, "calls again", func() bool { return len(r.call("echo", "bob", "bob").Lines) == 1 })
}

// A reply to a call whose time is over would be said as the answer to another one.
func TestALateAnswerIsNotSent(t *testing.T) {
	t.Parallel()
	p, b := plugin.New("test", "1"), newBlocking()
	p.Command(command("wait"), b.handle)
	r := start(t, p)
	inbox := r.bot.NewInbox()
	answers := make(chan *nats.Msg, 1)
	r.subscribe(inbox, func(m *nats.Msg) { answers <- m })
	m := r.message("wait", "alice", "1", 50*time.Millisecond)
	m.Reply = inbox
	if err := r.bot.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	ctx := b.wait(t)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
	// Another call of the person is taken only when the first one has ended.
	close(b.release)
	eventually(t, "the next call", func() bool { return len(r.call("wait", "alice", "2").Lines) == 1 })
	if len(answers) > 0 {
		t.Errorf("answered %q", (<-answers).Data)
	}
}

func TestTheTimeForACallIsBounded(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	left := func(ctx context.Context, _ *plugin.Call) (plugin.Reply, error) {
		deadline, _ := ctx.Deadline()
		return plugin.Text("%d", int(time.Until(deadline).Round(time.Second).Seconds())), nil
	}
	p.Command(command("short"), left)
	p.Command(plugin.Command{Name: "slow", Timeout: 30 * time.Second}, left)
	r := start(t, p)
	for _, test := range []struct{ command, header, want string }{
		{"short", "", "5"}, {"slow", "", "30"}, {"short", "10000", "10"}, {"slow", "10000", "10"},
		{"short", "9999999", "60"}, {"short", "-5", "5"}, {"short", "soon", "5"}, {"short", "99999999999999999999", "5"},
	} {
		m := r.message(test.command, "alice", "1", 0)
		m.Header.Set(bus.DeadlineHeader, test.header)
		if o := r.request(m); len(o.Lines) != 1 || o.Lines[0] != test.want {
			t.Errorf("%+v: %+v", test, o)
		}
	}
}

func TestACancelledCallEnds(t *testing.T) {
	t.Parallel()
	p, b := plugin.New("test", "1"), newBlocking()
	p.Command(command("wait"), b.handle)
	r := start(t, p)
	if err := r.bot.PublishMsg(&nats.Msg{
		Subject: r.subjects.Call("wait"), Reply: r.bot.NewInbox(), Data: r.message("wait", "alice", "one", long).Data,
	}); err != nil {
		t.Fatal(err)
	}
	ctx := b.wait(t)
	for _, body := range []string{"", "{", `{"call":"another","why":"left"}`, `{"call":"one","why":"left"}`} {
		if ctx.Err() != nil {
			t.Fatal("the cancel of another call ended it")
		}
		if err := r.bot.Publish(r.subjects.Cancel(), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(long):
		t.Fatal("the call goes on")
	}
	if cause := context.Cause(ctx).Error(); !strings.Contains(cause, "left") {
		t.Error(cause)
	}
}

// Whoever may call a plugin could otherwise have it publish where they may not.
func TestOnlyInboxesGetReplies(t *testing.T) {
	t.Parallel()
	p, handled := plugin.New("test", "1"), make(chan struct{}, 10)
	p.Command(command("count"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		handled <- struct{}{}
		return plugin.Text("done"), nil
	})
	r := start(t, p)
	answers := make(chan *nats.Msg, 10)
	for _, reply := range []string{"rosey.db.message.log", r.subjects.Say(), "$JS.API.STREAM.DELETE.rosey"} {
		r.subscribe(reply, func(m *nats.Msg) { answers <- m })
		for _, subject := range []string{r.subjects.Call("count"), "$SRV.INFO." + r.subjects.ServiceName()} {
			m := r.message("count", "alice", reply, long)
			m.Subject, m.Reply = subject, reply
			if err := r.bot.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.call("count", "alice", "last")
	r.info()
	if len(answers) > 0 || len(handled) != 1 {
		t.Errorf("%d replies to subjects that are no inboxes, %d calls", len(answers), len(handled))
	}
}

func TestMalformedCallsAreRefused(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.Command(command("echo"), echo)
	r := start(t, p)
	for name, body := range map[string]string{
		"empty": "", "no JSON": "{", "a list": "[]", "no ID": `{"user":{"name":"a"}}`, "no user": `{"call":"1"}`,
		"large": `{"call":"1","user":{"name":"a"},"args":"` + strings.Repeat("x", bus.MaxPluginBytes) + `"}`,
	} {
		o := r.request(&nats.Msg{Subject: r.subjects.Call("echo"), Data: []byte(body)})
		if o.code != bus.CodeInternal || !strings.Contains(o.description, "expected") {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestTheEndWaitsForCalls(t *testing.T) {
	t.Parallel()
	p, b := plugin.New("test", "1"), newBlocking()
	p.Command(command("wait"), b.handle)
	r := start(t, p)
	result := make(chan outcome, 1)
	go func() { result <- r.call("wait", "alice", "1") }()
	b.wait(t)
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	if bye := r.next(); bye != r.subjects.Bye() {
		t.Errorf("said %s", bye)
	}
	eventually(t, "no responders", func() bool { // until then a second call of the same person is refused
		return errors.Is(r.call("wait", "alice", "2").err, nats.ErrNoResponders)
	})
	close(b.release)
	if o := <-result; len(o.Lines) != 1 || o.Lines[0] != "done" {
		t.Errorf("%+v", o)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHelloFollowsAReconnect(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.Command(command("echo"), echo)
	r := start(t, p)
	r.server.Restart()
	if hello := r.next(); hello != r.subjects.Hello() {
		t.Errorf("said %s", hello)
	}
	eventually(t, "an answer", func() bool { return len(r.call("echo", "alice", "1").Lines) == 1 })
	if len(r.info().Endpoints) != 1 || !p.Check().OK {
		t.Errorf("%+v, %+v", r.info(), p.Check())
	}
}

func TestWhatAPluginOffers(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1.2.3")
	p.Command(plugin.Command{
		Name: "roll", Aliases: []string{"würfel"}, Usage: "[n]", Help: "Rolls.", Rank: 1.5,
		Cooldown: plugin.Cooldown{User: 3 * time.Second, Channel: 500 * time.Millisecond}, Timeout: 10 * time.Second,
		Private: true, Via: []plugin.Via{plugin.PM}, Examples: []plugin.Example{{Say: "!roll 3"}},
	}, echo)
	r := start(t, p)
	info := r.info()
	if info.Name != "rosey_movie-unight_test" || info.Version != "1.2.3" || info.Metadata["plugin"] != "test" ||
		len(info.Endpoints) != 1 {
		t.Fatalf("%+v", info)
	}
	endpoint := info.Endpoints[0]
	if endpoint.Subject != r.subjects.Call("roll") || endpoint.QueueGroup != "test" || endpoint.Name != "roll" {
		t.Errorf("%+v", endpoint)
	}
	const want = `{"name":"roll","aliases":["würfel"],"usage":"[n]","help":"Rolls.","examples":["roll 3"],"rank":1.5,` +
		`"cooldown":{"user_ms":3000,"channel_ms":500},"timeout_ms":10000,"via":["pm"],"private":true}`
	if got := endpoint.Metadata[bus.CommandMetadata]; got != want {
		t.Errorf("%s", got)
	}
}

// permitted returns a server with a user for the bot, who may do everything, and one for the plugin, who may do what a
// plugin without grants may.
func permitted(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{Username: "bot", Password: "pw"}, {
			Username: "plugin", Password: "pw", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: subjects},
				Publish: &server.SubjectPermission{Allow: []string{
					"rosey.plugin.movie_night.test.out.hello", "rosey.plugin.movie_night.test.out.bye",
				}},
				Response: &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute},
			},
		}}
	}
}

const ownCalls, ownCancel, ownInbox, ownInfo = "rosey.plugin.movie_night.test.in.call.> test",
	"rosey.plugin.movie_night.test.in.cancel", "_INBOX_rosey_plugin_movie_night_test.>",
	"$SRV.INFO.rosey_movie-unight_test"

// The library does not notice a refused subscription: the plugin would offer a command on which it is deaf.
func TestARefusedSubscriptionIsInTheStatusAndNotOffered(t *testing.T) {
	t.Parallel()
	newPlugin := func() *plugin.Plugin {
		p := plugin.New("test", "1")
		p.Command(command("echo"), echo)
		p.Command(command("other"), echo)
		return p
	}
	t.Run("a command", func(t *testing.T) {
		t.Parallel()
		p := newPlugin()
		r := start(t, p, permitted("rosey.plugin.movie_night.test.in.call.echo test", ownCancel, ownInbox, ownInfo))
		eventually(t, "the refusal", func() bool { return !p.Check().OK })
		check := p.Check()
		if check.Reason != status.ReasonNATSPermissionMissing || !strings.Contains(check.Message, r.subjects.Call("other")) {
			t.Errorf("%+v", check)
		}
		if info := r.info(); len(info.Endpoints) != 1 || info.Endpoints[0].Name != "echo" {
			t.Errorf("%+v", info.Endpoints)
		}
		if o := r.call("echo", "alice", "1"); len(o.Lines) != 1 {
			t.Errorf("%+v", o)
		}
	})
	t.Run("discovery", func(t *testing.T) {
		t.Parallel()
		p := newPlugin()
		start(t, p, permitted(ownCalls, ownCancel, ownInbox))
		eventually(t, "the refusal", func() bool { return !p.Check().OK })
		if check := p.Check(); !strings.Contains(check.Message, ownInfo) {
			t.Errorf("%+v", check)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		p := newPlugin()
		r := start(t, p, permitted(ownCalls, ownCancel, ownInbox, ownInfo))
		r.info()
		// The subjects of all services are refused, and that is no problem.
		if check, conn := p.Check(), r.conn.Check(); !check.OK || !conn.OK {
			t.Errorf("%+v, %+v", check, conn)
		}
	})
}

// A plugin that tries what it may not gets an error, and goes on.
func TestWhatIsNotGrantedFailsAlone(t *testing.T) {
	t.Parallel()
	p, errs := plugin.New("test", "1"), make(chan error, 10)
	p.Command(command("try"), func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		_, kvErr := c.KV().Add(ctx, "n", 1)
		_, stateErr := c.State(ctx, plugin.Users)
		for _, err := range []error{
			kvErr, stateErr, c.Say(ctx, "hi"), c.Queue(ctx, "hi"), c.Act(ctx, plugin.Kick, plugin.Action{User: "bob"}),
		} {
			errs <- err
		}
		return plugin.Text("done"), nil
	})
	r := start(t, p, permitted(ownCalls, ownCancel, ownInbox, ownInfo))
	if o := r.call("try", "alice", "1"); len(o.Lines) != 1 {
		t.Fatalf("%+v", o)
	}
	for range 5 {
		if err := <-errs; !errors.Is(err, plugin.ErrNotGranted) {
			t.Errorf("%v", err)
		}
	}
	if check, conn := p.Check(), r.conn.Check(); !check.OK || !conn.OK {
		t.Errorf("%+v, %+v", check, conn)
	}
}

func TestEventsAreHandledInTheirOrder(t *testing.T) {
	t.Parallel()
	p, got := plugin.New("test", "1"), make(chan string, 100)
	p.On(plugin.Message, func(_ context.Context, e *plugin.Event) error {
		got <- e.User.Name + ": " + e.Text
		if e.Text == "2" {
			panic("once")
		}
		return nil
	})
	p.On(plugin.UserJoined, func(_ context.Context, e *plugin.Event) error {
		got <- fmt.Sprint(e.User.Name, " ", e.User.Rank)
		return errors.New("failed")
	})
	r := start(t, p)
	publish := func(event, body string) {
		if err := r.bot.Publish(r.all.Subject(bus.FeedEvents(channel, event)), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	publish("message", "{")
	publish("message", `{"event":"another"}`)
	publish("user_join", `{"event":"user_join","user":"bob","user_data":{"rank":2},"timestamp":1893456000}`)
	var want []string
	for i := range 20 {
		publish("message", fmt.Sprintf(`{"event":"message","user":"bob","text":"%d","content":"<b>"}`, i))
		want = append(want, fmt.Sprint("bob: ", i))
	}
	for _, want := range append([]string{"bob 2"}, want...) {
		if line := <-got; line != want {
			t.Errorf("got %q, want %q", line, want)
		}
	}
}

func TestOnStartAndEvery(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	var started, ticks atomic.Int64
	p.OnStart(func(_ context.Context, c *plugin.Channel) error {
		started.Add(1)
		if c.Name() != channel || c.Plugin() != "test" || c.Server() != "https://cytu.be" {
			t.Errorf("%s %s %s", c.Name(), c.Plugin(), c.Server())
		}
		return nil
	})
	p.Every(100*time.Millisecond, func(context.Context, *plugin.Channel) error {
		if ticks.Add(1) == 1 {
			panic("once")
		}
		return nil
	})
	start(t, p)
	eventually(t, "two ticks", func() bool { return ticks.Load() > 1 })
	if started.Load() != 1 {
		t.Errorf("started %d times", started.Load())
	}
}

func TestAPluginThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.OnStart(func(context.Context, *plugin.Channel) error { return errors.New("no key") })
	r := newRig(t, p)
	r.run(plugin.Options{})
	if err := r.stop(); err == nil || err.Error() != "plugin test: starting: no key" {
		t.Errorf("%v", err)
	}
	r.stop = func() error { return nil }
}

func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	declare := func(name string, do func(*plugin.Plugin)) string {
		p := plugin.New(name, "1")
		do(p)
		if err := p.Problems(); err != nil {
			return err.Error()
		}
		return ""
	}
	one := func(c plugin.Command) func(*plugin.Plugin) {
		return func(p *plugin.Plugin) { p.Command(c, echo) }
	}
	for want, got := range map[string]string{
		`name "Dice!": expected 1 to 30`: declare("Dice!", func(*plugin.Plugin) {}),
		`command "": name`:               declare("test", one(plugin.Command{})),
		`command "ROLL": name`:           declare("test", one(command("ROLL"))),
		`aliases: expected 1 to 30`:      declare("test", one(plugin.Command{Name: "a", Aliases: []string{"b c"}})),
		`aliases: expected at most 5`:    declare("test", one(plugin.Command{Name: "a", Aliases: make([]string, 6)})),
		`timeout: 1m1s`:                  declare("test", one(plugin.Command{Name: "a", Timeout: 61 * time.Second})),
		`cooldown: expected no`: declare("test", one(plugin.Command{Name: "a",
			Cooldown: plugin.Cooldown{User: -1}})),
		`help: expected one printable`: declare("test", one(plugin.Command{Name: "a", Help: "a\nb"})),
		`examples[0]: "b", expected`: declare("test", one(plugin.Command{Name: "a",
			Examples: []plugin.Example{{Say: "b"}}})),
		`examples[0]: "!a": error parsing`: declare("test", one(plugin.Command{Name: "a",
			Examples: []plugin.Example{{Say: "!a", Like: "("}}})),
		`expected a handler`: declare("test", func(p *plugin.Plugin) { p.Command(command("a"), nil) }),
		`another one has the name "a" too`: declare("test", func(p *plugin.Plugin) {
			p.Command(command("a"), echo)
			p.Command(plugin.Command{Name: "b", Aliases: []string{"a"}}, echo)
		}),
		`expected at most 50 commands`: declare("test", func(p *plugin.Plugin) {
			for i := range 51 {
				p.Command(command(fmt.Sprint("c", i)), echo)
			}
		}),
		`event "a b"`:           declare("test", func(p *plugin.Plugin) { p.On("a b", nil) }),
		`every 1ms: `:           declare("test", func(p *plugin.Plugin) { p.Every(time.Millisecond, nil) }),
		`counter "A": expected`: declare("test", func(p *plugin.Plugin) { p.Counter("A") }),
		`counter "a": declared twice`: declare("test", func(p *plugin.Plugin) {
			p.Counter("a")
			p.Counter("a")
		}),
		`counter "c10": expected at most 10`: declare("test", func(p *plugin.Plugin) {
			for i := range 11 {
				p.Counter(fmt.Sprint("c", i))
			}
		}),
		`setting "a b": expected`: declare("test", func(p *plugin.Plugin) {
			p.Setting(plugin.Setting{Name: "a b"})
		}),
		`its default "x": expected a whole number`: declare("test", func(p *plugin.Plugin) {
			p.Setting(plugin.Setting{Name: "a", Default: "x", Check: plugin.Whole(1, 2)})
		}),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if problem := declare("test", one(plugin.Command{Name: "a-1_x", Aliases: []string{"würfel", "🎲"}})); problem != "" {
		t.Error(problem)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text   string
		length int
		want   string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ab cd", 4, "ab…"}, {"🎲🎲", 4, "🎲🎲"}, {"🎲🎲🎲", 4, "🎲…"},
		{"🎲🎲🎲", 3, "🎲…"}, {"\xff\xfe\xfd", 2, "\xff…"},
	} {
		if got := plugin.Cut(test.text, test.length); got != test.want {
			t.Errorf("Cut(%q, %d) = %q", test.text, test.length, got)
		}
	}
}

// The wire has more fields one day.
func TestUnknownFieldsOfACallAreIgnored(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.Command(command("echo"), echo)
	r := start(t, p)
	m := r.message("echo", "alice", "1", long)
	var body map[string]any
	if err := json.Unmarshal(m.Data, &body); err != nil {
		t.Fatal(err)
	}
	body["later"] = []int{1}
	m.Data, _ = json.Marshal(body)
	if o := r.request(m); len(o.Lines) != 1 {
		t.Errorf("%+v", o)
	}
}

// What moderators write in the chat becomes a command of its own.
func TestCommandsThatAreDeclaredWhileThePluginRuns(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.OnStart(func(_ context.Context, c *plugin.Channel) error { return c.Declare(command("first"), echo) })
	p.Command(command("add"), func(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
		return plugin.Reply{}, c.Declare(command("more"), echo)
	})
	p.Command(command("del"), func(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
		c.Withdraw("more")
		c.Withdraw("never")
		return plugin.Reply{}, nil
	})
	r := start(t, p)
	looksAgain := func() { // the bot; it need not look twice after two changes in a row
		t.Helper()
		if hello := r.next(); hello != r.subjects.Hello() {
			t.Errorf("said %s", hello)
		}
	}
	if o := r.call("first", "alice", "1"); len(o.Lines) != 1 {
		t.Errorf("declared at the start: %+v", o)
	}
	for range 2 {
		if o := r.call("more", "alice", "2"); !errors.Is(o.err, nats.ErrNoResponders) {
			t.Errorf("not declared: %+v", o)
		}
		if o := r.call("add", "alice", "3"); o.code != "" || o.err != nil {
			t.Errorf("%+v", o)
		}
		looksAgain()
		if o := r.call("more", "alice", "4"); len(o.Lines) != 1 || len(r.info().Endpoints) != 4 {
			t.Errorf("declared: %+v, %+v", o, r.info())
		}
		if o := r.call("add", "alice", "5"); o.code != bus.CodeInternal || !strings.Contains(o.description, `"more"`) {
			t.Errorf("declared twice: %+v", o)
		}
		r.call("del", "alice", "6")
		if len(r.info().Endpoints) != 3 {
			t.Errorf("withdrawn: %+v", r.info())
		}
		looksAgain()
	}
}

// A handler that ignores its context keeps its place. When all have, the plugin is deaf, and says so.
func TestHandlersThatDoNotEndAreInTheStatus(t *testing.T) {
	t.Parallel()
	p, running, release := plugin.New("test", "1"), make(chan struct{}, 100), make(chan struct{})
	p.Command(command("hang"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		running <- struct{}{}
		<-release
		return plugin.Text("late"), nil
	})
	r := start(t, p)
	for i := range bus.MaxPluginCalls {
		if check := p.Check(); !check.OK {
			t.Errorf("with %d of them: %+v", i, check)
		}
		m := r.message("hang", fmt.Sprint("user", i), fmt.Sprint(i), time.Millisecond)
		m.Reply = r.bot.NewInbox()
		if err := r.bot.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		<-running
	}
	eventually(t, "the status", func() bool { return p.Check().Reason == status.ReasonPluginBusy })
	if o := r.call("hang", "alice", "more"); o.code != bus.CodeBusy {
		t.Errorf("%+v", o)
	}
	close(release)
	eventually(t, "the end of them", func() bool { return p.Check().OK })
	if o := r.call("hang", "alice", "again"); len(o.Lines) != 1 {
		t.Errorf("%+v", o)
	}
}

// A handler that never ends must not keep the process: Run returns, with an error that says so.
func TestTheEndDoesNotWaitForHandlersThatNeverEnd(t *testing.T) {
	t.Parallel()
	p, running, release := plugin.New("test", "1"), make(chan struct{}), make(chan struct{})
	p.Command(command("hang"), func(context.Context, *plugin.Call) (plugin.Reply, error) {
		close(running)
		<-release
		return plugin.Reply{}, nil
	})
	r := newRig(t, p)
	r.run(plugin.Options{})
	r.next()
	m := r.message("hang", "alice", "1", long)
	m.Reply = r.bot.NewInbox()
	if err := r.bot.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	<-running
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "handlers do not end") {
		t.Errorf("%v", err)
	}
	close(release)
	r.stop = func() error { return nil }
}
