package plugin_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/goleak"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a NATS server, a plugin, and a client that plays the bot.
type rig struct {
	t        *testing.T
	server   *natstest.Server
	subjects bus.PluginSubjects
	all      bus.Subjects
	bot      *nats.Conn
	conn     *bus.Conn
	plugin   *plugin.Plugin
	hellos   chan string // subjects of hello and bye
	stop     func() error
}

const channel = "Movie_Night"

// start starts a plugin. users are those of the server; empty: everybody may do everything.
func start(t *testing.T, p *plugin.Plugin, users ...func(*server.Options)) *rig {
	t.Helper()
	r := newRig(t, p, users...)
	r.run(plugin.Options{})
	if hello := r.next(); hello != r.subjects.Hello() {
		t.Fatalf("the plugin said %s", hello)
	}
	return r
}

func newRig(t *testing.T, p *plugin.Plugin, users ...func(*server.Options)) *rig {
	t.Helper()
	r := &rig{t: t, server: natstest.Start(t, users...), plugin: p, hellos: make(chan string, 10)}
	var err error
	if r.all, err = bus.NewSubjects("rosey"); err == nil {
		r.subjects, err = r.all.Plugin(channel, p.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	r.bot = r.server.ClientAs("bot", "pw")
	for _, subject := range []string{r.subjects.Hello(), r.subjects.Bye()} {
		r.subscribe(subject, func(m *nats.Msg) { r.hellos <- m.Subject })
	}
	return r
}

func (r *rig) subscribe(subject string, handle nats.MsgHandler) {
	r.t.Helper()
	if _, err := r.bot.Subscribe(subject, handle); err != nil {
		r.t.Fatal(err)
	}
	if err := r.bot.Flush(); err != nil {
		r.t.Fatal(err)
	}
}

// run runs the plugin until the test ends.
func (r *rig) run(o plugin.Options) {
	r.t.Helper()
	conn, err := bus.Connect(r.t.Context(), bus.Options{
		URL: "nats://plugin:pw@" + r.server.URL()[len("nats://"):], InboxPrefix: r.subjects.InboxPrefix(),
		Log: natstest.Log(r.t),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.conn = conn
	o.Conn, o.Subjects, o.Server, o.Channel, o.Log = conn, r.all, "https://cytu.be", channel, natstest.Log(r.t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.plugin.Run(ctx, o) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		conn.Close()
		return err
	})
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Error(err)
		}
	})
}

// next returns the next hello or bye.
func (r *rig) next() string {
	r.t.Helper()
	select {
	case subject := <-r.hellos:
		return subject
	case <-time.After(20 * time.Second):
		r.t.Fatal("neither hello nor bye")
		return ""
	}
}

// message returns a call as the bot sends it.
func (r *rig) message(command, user, id string, left time.Duration) *nats.Msg {
	r.t.Helper()
	data, err := bus.Encode(bus.PluginCall{
		ID: id, Via: bus.ViaChat, User: bus.PluginUser{Name: user, Rank: 1}, Command: command, Args: "a b",
		Text: "!" + command + " a b",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return &nats.Msg{Subject: r.subjects.Call(command), Data: data, Header: nats.Header{
		bus.DeadlineHeader: {strconv.FormatInt(left.Milliseconds(), 10)},
	}}
}

// outcome is the reply to a call.
type outcome struct {
	bus.PluginReply
	code, description string
	err               error
}

// call calls a command and waits for the reply.
func (r *rig) call(command, user, id string) outcome {
	r.t.Helper()
	return r.request(r.message(command, user, id, long))
}

func (r *rig) request(m *nats.Msg) (o outcome) {
	r.t.Helper()
	reply, err := r.bot.RequestMsg(m, 20*time.Second)
	if err != nil {
		return outcome{err: err}
	}
	o.code, o.description = reply.Header.Get(micro.ErrorCodeHeader), reply.Header.Get(micro.ErrorHeader)
	if o.code == "" {
		o.err = json.Unmarshal(reply.Data, &o.PluginReply)
	}
	return o
}

// info returns what the plugin offers.
func (r *rig) info() (info micro.Info) {
	r.t.Helper()
	reply, err := r.bot.Request("$SRV.INFO."+r.subjects.ServiceName(), nil, 20*time.Second)
	if err == nil {
		err = json.Unmarshal(reply.Data, &info)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return info
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	natstest.Within(t, 20*time.Second, what, condition)
}
