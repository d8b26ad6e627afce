package pluginclient

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// Options configure a Client. All but Registerer are required.
type Options struct {
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Origin names the server and the channel.
	Origin bus.Origin
	// Registry gets the commands of the plugins.
	Registry *command.Registry
	// Requester puts lines into the outbound queue, and Publisher publishes the audit.
	Requester speech.Requester
	Publisher speech.Publisher
	// EventID returns the ID of an event that happens at a time.
	EventID func(at time.Time) string
	// Leading reports whether the bot may act in the channel. It must not block.
	Leading    func() bool
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Channel is a session of the bot in its channel. Its methods may be called from any goroutine.
type Channel interface {
	// Say says a message and returns what became of it.
	Say(ctx context.Context, m speech.Message) speech.Result
	// PrepareAct is command.Handler.PrepareAct.
	PrepareAct(ctx context.Context, act command.Act) (
		run func(ctx context.Context) (added *bus.QueuedMedia, err error), err error)
	// State returns a part of the channel's state, or false if it is not known.
	State(ctx context.Context, thing bus.PluginThing) (bus.ChannelState, bool)
	// Find returns the user of a name, if there is one in the channel.
	Find(ctx context.Context, name string) (cytube.User, bool)
}

// Client is the bot's side of its plugins. Use New. Its methods are safe for concurrent use.
type Client struct {
	Options
	metrics *metrics
	calls   sync.WaitGroup // calls in progress
	// reconnected gets a value when the connection to NATS is established or breaks.
	reconnected chan struct{}
	timings     timings
	// registering is held from reading what the plugins offer until the Registry has it: an older list would otherwise
	// overwrite a newer one. It is taken before mu.
	registering sync.Mutex

	mu sync.Mutex
	// plugins are those that are configured, in the order of the configuration.
	plugins []*plugin
	// started begins to look for a plugin. It is called with the lock. Nil: Run does not run.
	started func(*plugin)
	// inbox is where replies to calls come, without the token of the call. Empty: Run does not run.
	inbox   string
	session *session
	// pending are the calls that wait for a reply, by their tokens.
	pending map[string]*call
}

// timings are those that tests shorten.
type timings struct {
	// Ping is the time between two looks whether a plugin is there, Answer how long it may take to answer one, and Gather
	// how long others are waited for after the first one.
	Ping, Answer, Gather time.Duration
	// Look is the shortest time between two requests for what a plugin offers.
	Look time.Duration
}

func defaultTimings() timings {
	return timings{
		Ping: 30 * time.Second, Answer: 2 * time.Second, Gather: 250 * time.Millisecond, Look: time.Second,
	}
}

// session is the time in the channel.
type session struct {
	Channel

	// ctx ends with the session. Its cause is errLeft or errNotLeading.
	ctx    context.Context //nolint:containedctx // it is that of the session, which several goroutines share
	talker *talker
}

var (
	errLeft       = errors.New("the bot left the channel")
	errNotLeading = errors.New("another bot is in the channel now")
	errRemoved    = errors.New("the plugin is configured no more")
)

// New returns a Client without plugins.
func New(o Options) *Client {
	c := &Client{
		Options: o, metrics: newMetrics(o.Registerer), timings: defaultTimings(),
		reconnected: make(chan struct{}, 1), pending: map[string]*call{},
	}
	o.Conn.NotifyChange(c.reconnected)
	return c
}

// Configure sets the plugins. What is known of those that stay is kept, also if their grants are others.
func (c *Client) Configure(configured []config.Plugin) {
	c.mu.Lock()
	before := c.plugins
	c.plugins = nil
	var added []*plugin
	for _, one := range configured {
		at := slices.IndexFunc(before, func(p *plugin) bool { return p.name == one.Name })
		if at < 0 {
			subjects, err := c.Subjects.Plugin(c.Origin.Channel, one.Name)
			if err != nil {
				continue // the configuration was validated
			}
			added = append(added, newPlugin(c, one.Name, subjects))
			c.plugins = append(c.plugins, added[len(added)-1])
		} else {
			c.plugins = append(c.plugins, before[at])
		}
		c.plugins[len(c.plugins)-1].setGrants(one.EffectiveGrants())
	}
	for _, p := range added {
		c.metrics.startAtZero(p.name)
		if c.started != nil {
			c.started(p)
		}
	}
	current, s := c.plugins, c.session
	c.mu.Unlock()
	for _, p := range before {
		if !slices.Contains(current, p) {
			p.stop()
			c.metrics.forget(p.name)
		}
		if s != nil {
			s.talker.recheck(p.name) // whoever removes a plugin, or its grant to speak, wants it to be silent now
		}
	}
	c.register()
}

// find returns a plugin that is configured, or nil.
func (c *Client) find(name string) *plugin {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.plugins, func(p *plugin) bool { return p.name == name })
	if at < 0 {
		return nil
	}
	return c.plugins[at]
}

// all returns the plugins that are configured.
func (c *Client) all() []*plugin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plugins
}

// Run looks for the plugins and serves their requests until ctx ends, while the bot leads. It may be called again.
func (c *Client) Run(ctx context.Context) {
	inbox := c.Conn.NATS().NewInbox()
	replies, err := c.Conn.NATS().Subscribe(inbox+".*", c.receiveReply)
	if err != nil {
		c.Log.ErrorContext(ctx, "[NATS] cannot receive replies of plugins", "error", err)
		return
	}
	defer func() { _ = replies.Unsubscribe() }() // it fails only if the connection is closed
	_ = replies.SetPendingLimits(maxPendingReplies, maxPendingBytes)
	var running sync.WaitGroup
	begin := func(p *plugin) { running.Go(func() { p.run(ctx) }) }
	c.mu.Lock()
	c.started, c.inbox = begin, inbox
	for _, p := range c.plugins {
		begin(p)
	}
	c.mu.Unlock()
	c.watchConnection(ctx)
	c.mu.Lock()
	c.started, c.inbox = nil, ""
	c.mu.Unlock()
	running.Wait()
	for _, p := range c.all() {
		p.forget()
		c.metrics.setAvailable(p.name, 0)
	}
	c.register()
}

// watchConnection has all plugins looked for whenever the connection to NATS is established again, until ctx ends.
func (c *Client) watchConnection(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.reconnected:
			if c.Conn.Connected() {
				for _, p := range c.all() {
					p.wake()
				}
			}
		}
	}
}

// Enter begins a session in the channel, which only leave ends: that cancels all calls, waits for what was begun, and
// drops what was to be said.
func (c *Client) Enter(ctx context.Context, channel Channel) (leave func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s := &session{Channel: channel, ctx: ctx, talker: newTalker(c.metrics)}
	var talking sync.WaitGroup
	talking.Go(func() { s.talker.run(ctx, channel) })
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.session = nil
		c.mu.Unlock()
		why := errLeft
		if !c.Leading() {
			why = errNotLeading
		}
		cancel(why)
		talking.Wait()
		c.calls.Wait()
	}
}

// current returns the session, or nil while the bot is not in the channel.
func (c *Client) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// register tells the Registry which commands there are.
func (c *Client) register() {
	c.registering.Lock()
	defer c.registering.Unlock()
	var plugins []command.Plugin
	for _, p := range c.all() {
		plugins = append(plugins, p.offered())
	}
	c.Registry.SetPlugins(plugins)
}
