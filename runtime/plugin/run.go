package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Options say in which channel a plugin runs. Conn, Subjects, Server and Channel are required.
type Options struct {
	// Conn is the connection to NATS, with the inboxes of the plugin: see bus.PluginSubjects.InboxPrefix.
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Server is the URL of the CyTube server, and Channel the name of the channel there.
	Server, Channel string
	// Name is the name of the plugin in the channel. Empty: the one that it has itself.
	Name string
	// Settings are the values of its settings. Nil: all have their defaults.
	Settings Source
	// Log gets what the plugin logs. Nil: nothing is logged.
	Log *slog.Logger
	// Metrics are shared by all plugins of a process. Nil: there are none.
	Metrics *Metrics
	// Clock is the time. Nil: that of the machine.
	Clock Clock
	// Inside reports that the plugin runs in the process of the bot, whose NATS user it shares: that NATS does not limit
	// what it may do is meant then.
	Inside bool
}

const (
	// maxWaiting is how many calls and cancels, and maxEvents how many events, may wait.
	maxWaiting, maxEvents = 64, 256
	// drainTimeout is how long handlers may go on when the plugin ends, and endTimeout how long they may take to notice
	// that their contexts have ended.
	drainTimeout = 5 * time.Second
	endTimeout   = 2 * time.Second
)

// runner runs a plugin.
type runner struct {
	plugin    *Plugin
	options   Options
	subjects  bus.PluginSubjects
	channel   *Channel // without a call
	settings  *liveSettings
	metrics   *Metrics
	discovery *bus.Discovery
	check     *status.Recorder
	calls     *calls

	incoming chan *nats.Msg // calls and cancels, in their order
	events   chan *nats.Msg
	ready    chan struct{} // closed once it is subscribed
	greeting chan struct{} // receives when hello is to be said

	// isOpen is whether the NATS user may do what plugins must not, and tried 1 more than the number of the connection on
	// which that was tried last. They belong to greet.
	isOpen bool
	tried  uint64
	// feeds are the subscriptions to events, set before ready is closed.
	feeds []*nats.Subscription

	mu            sync.Mutex
	subscriptions []*nats.Subscription // to calls and cancels
}

// Run runs the plugin until ctx ends: it says hello, answers calls, and at the end says bye and waits for the calls
// that it has, for some seconds. It returns an error if the declarations are wrong, if OnStart fails, if the connection
// is closed, or if handlers do not end.
func (p *Plugin) Run(ctx context.Context, o Options) error {
	r, err := p.newRunner(o)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.name, err)
	}
	if !p.runner.CompareAndSwap(nil, r) {
		return fmt.Errorf("plugin %s: it runs already, or has run", p.name)
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("plugin %s: %w", r.subjects.Name, err)
	}
	return nil
}

func (p *Plugin) newRunner(o Options) (*runner, error) {
	if err := p.Problems(); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = p.name
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = realClock{}
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.Settings == nil {
		o.Settings = FixedSettings(nil)
	}
	subjects, err := o.Subjects.Plugin(o.Channel, o.Name)
	if err != nil {
		return nil, err
	}
	o.Log = o.Log.With("plugin", o.Name)
	r := &runner{
		plugin: p, options: o, subjects: subjects, metrics: o.Metrics, calls: newCalls(),
		check: status.NewRecorder(CheckName(o.Name), "the plugin is starting"),
		settings: &liveSettings{declared: p.settings, source: o.Settings, now: o.Clock.Now, warn: func(problem string) {
			o.Log.Warn("a setting is wrong: its default is used", "problem", problem)
		}},
		incoming: make(chan *nats.Msg, maxWaiting), events: make(chan *nats.Msg, maxEvents), ready: make(chan struct{}),
		greeting: make(chan struct{}, 1),
	}
	r.channel = &Channel{runner: r, log: o.Log}
	for _, what := range p.counters {
		r.metrics.count(o.Name, what, 0) // the series begins with the plugin
	}
	r.discovery, err = r.newDiscovery()
	return r, err
}

func (r *runner) run(ctx context.Context) error {
	for _, start := range r.plugin.starts {
		if err := protect(func() error { return start(ctx, r.channel) }); err != nil {
			return fmt.Errorf("starting: %w", err)
		}
	}
	if err := r.subscribe(); err != nil {
		return errors.Join(err, r.end(ctx, nil))
	}
	close(r.ready)
	r.settings.read() // a wrong one is logged now
	// Handlers may go on for a while when ctx has ended.
	handling, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var tasks sync.WaitGroup
	tasks.Go(func() { r.greet(ctx) })
	tasks.Go(func() { r.handleEvents(ctx) })
	for _, one := range r.plugin.timers {
		tasks.Go(func() { r.options.Clock.Every(ctx, one.interval, func() { r.tick(ctx, one) }) })
	}
	err := r.dispatch(ctx, handling)
	done := make(chan struct{})
	go func() {
		tasks.Wait()
		close(done)
	}()
	return errors.Join(err, r.end(handling, func() bool { return r.wait(context.WithoutCancel(ctx), done, stop) }))
}

// greet says hello at the start, whenever the connection is back, and after offer, until ctx ends, and once more if the
// NATS user may do what plugins must not.
func (r *runner) greet(ctx context.Context) {
	defer r.options.Conn.NotifyChange(r.greeting)()
	for {
		if r.options.Conn.Connected() {
			r.publish(r.subjects.Hello())
			if r.checkPermissions(ctx) {
				r.publish(r.subjects.Hello())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-r.greeting:
		}
	}
}

// publish publishes the ID of this process, if there is a connection.
func (r *runner) publish(subject string) {
	data, err := bus.Encode(bus.PluginHello{ID: r.discovery.ID()})
	if err == nil {
		err = r.options.Conn.NATS().Publish(subject, data)
	}
	if err != nil {
		r.options.Log.Debug("[NATS] cannot publish", "subject", subject, "error", err)
	}
}

// dispatch takes calls and cancels until ctx ends. It never waits for a handler.
func (r *runner) dispatch(ctx, handling context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.options.Conn.Closed():
			return errors.New("the connection to NATS is closed")
		case m := <-r.incoming:
			r.take(handling, m)
		}
	}
}

// end says bye, ends the subscriptions, takes the calls that have arrived, and waits for their handlers.
func (r *runner) end(handling context.Context, wait func() bool) error {
	if r.options.Conn.Connected() {
		r.publish(r.subjects.Bye())
	}
	r.discovery.Unsubscribe(r.options.Log)
	r.mu.Lock()
	subscriptions := append(r.subscriptions, r.feeds...)
	r.subscriptions = nil
	r.mu.Unlock()
	for _, subscription := range subscriptions {
		_ = subscription.Drain() // it fails only if the connection is closed
	}
	r.flush() // afterwards nothing more arrives
	for len(r.incoming) > 0 {
		r.take(handling, <-r.incoming)
	}
	if wait != nil && !wait() {
		return errors.New("handlers do not end although their contexts have ended")
	}
	return nil
}

// wait waits for all handlers, and reports whether they have ended. stop ends their contexts.
func (r *runner) wait(ctx context.Context, tasks <-chan struct{}, stop func()) bool {
	ended := make(chan struct{})
	go func() {
		r.calls.running.Wait()
		<-tasks
		close(ended)
	}()
	backoff.Wait(ctx, drainTimeout, ended)
	stop()
	backoff.Wait(ctx, endTimeout, ended)
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func (r *runner) tick(ctx context.Context, one timer) {
	ctx, cancel := context.WithTimeout(ctx, max(one.interval, bus.MaxPluginTimeout))
	defer cancel()
	if err := protect(func() error { return one.do(ctx, r.channel) }); err != nil && ctx.Err() == nil {
		r.options.Log.ErrorContext(ctx, "what is done again and again failed", "interval", one.interval,
			"error", safeText(err))
	}
}
