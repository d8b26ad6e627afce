package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
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

	mu            sync.Mutex
	subscriptions []*nats.Subscription
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
	r.discovery, err = r.newDiscovery()
	return r, err
}

func (r *runner) newDiscovery() (*bus.Discovery, error) {
	options := bus.DiscoveryOptions{
		Conn: r.options.Conn, Name: r.subjects.ServiceName(), Version: r.plugin.version,
		Description: "a plugin for CyTube channels",
		Metadata: map[string]string{
			"plugin": r.subjects.Name, "channel": r.options.Channel, "server": r.options.Server,
			"prefix": r.options.Subjects.Prefix(),
		},
	}
	for _, one := range r.plugin.declared() {
		endpoint, err := r.endpoint(one)
		if err != nil {
			return nil, err
		}
		options.Endpoints = append(options.Endpoints, endpoint)
	}
	return bus.NewDiscovery(options), nil
}

// endpoint returns the endpoint of a command in the services protocol.
func (r *runner) endpoint(one command) (micro.EndpointInfo, error) {
	declared, err := one.metadata()
	return micro.EndpointInfo{
		Name: one.Name, Subject: r.subjects.Call(one.Name), QueueGroup: r.subjects.QueueGroup(),
		Metadata: map[string]string{bus.CommandMetadata: declared},
	}, err
}

// declare adds a command while the plugin runs.
func (r *runner) declare(one command) error {
	endpoint, err := r.endpoint(one)
	if err == nil {
		err = r.plugin.add(one)
	}
	if err != nil {
		return err
	}
	r.discovery.Add(endpoint)
	if !r.isReady() {
		return nil // it is subscribed with the others
	}
	conn := r.options.Conn.NATS()
	if err := r.add(conn.ChanQueueSubscribe(endpoint.Subject, endpoint.QueueGroup, r.incoming)); err != nil {
		return err
	}
	r.offer()
	return nil
}

// withdraw removes a command while the plugin runs.
func (r *runner) withdraw(name string) {
	if !r.plugin.remove(name) {
		return
	}
	subject := r.subjects.Call(name)
	r.discovery.Remove(subject)
	r.mu.Lock()
	isMeant := func(s *nats.Subscription) bool { return s.Subject == subject }
	at := slices.IndexFunc(r.subscriptions, isMeant)
	if at >= 0 {
		_ = r.subscriptions[at].Unsubscribe() // it fails only if the connection is closed
		r.subscriptions = slices.Delete(r.subscriptions, at, at+1)
	}
	r.mu.Unlock()
	if r.isReady() {
		r.offer()
	}
}

func (r *runner) isReady() bool {
	select {
	case <-r.ready:
		return true
	default:
		return false
	}
}

// offer makes the bot look at the commands again. It does not wait: the server handles what was subscribed to before it
// handles the hello, and one hello is enough for many changes.
func (r *runner) offer() {
	select {
	case r.greeting <- struct{}{}:
	default: // it is about to be said
	}
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

// subscribe subscribes to calls, cancels, events, and to what asks for the plugin's commands.
func (r *runner) subscribe() error {
	conn := r.options.Conn.NATS()
	queue := func(subject string, to chan *nats.Msg) error {
		return r.add(conn.ChanQueueSubscribe(subject, r.subjects.QueueGroup(), to))
	}
	for _, one := range r.plugin.declared() {
		if err := queue(r.subjects.Call(one.Name), r.incoming); err != nil {
			return err
		}
	}
	for _, event := range r.plugin.Events() {
		feed := r.options.Subjects.Subject(bus.FeedEvents(r.options.Channel, event))
		if err := queue(feed, r.events); err != nil {
			return err
		}
	}
	// Without a queue group: the call may be that of any process of the plugin.
	if err := r.add(conn.ChanSubscribe(r.subjects.Cancel(), r.incoming)); err != nil {
		return err
	}
	if err := r.discovery.Subscribe(); err != nil {
		return err
	}
	r.flush() // afterwards it is known which the server refuses
	return nil
}

func (r *runner) add(subscription *nats.Subscription, err error) error {
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscriptions = append(r.subscriptions, subscription)
	return nil
}

// flush waits until the server has handled what was sent to it.
func (r *runner) flush() {
	if r.options.Conn.Connected() {
		_ = r.options.Conn.NATS().FlushTimeout(bus.RequestTimeout) // without an answer there is no connection soon
	}
}

// greet says hello at the start, whenever the connection is back, and after offer, until ctx ends.
func (r *runner) greet(ctx context.Context) {
	defer r.options.Conn.NotifyChange(r.greeting)()
	for {
		if r.options.Conn.Connected() {
			r.publish(r.subjects.Hello())
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
	subscriptions := r.subscriptions
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

// handleEvents handles events until ctx ends.
func (r *runner) handleEvents(ctx context.Context) {
	dropped := 0
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.events:
			r.metrics.events.WithLabelValues(r.subjects.Name, r.handleEvent(ctx, m)).Inc()
			now := r.dropped()
			r.metrics.events.WithLabelValues(r.subjects.Name, outcomeDropped).Add(float64(max(0, now-dropped)))
			dropped = now
		}
	}
}

// dropped returns how many messages nats.go has dropped since others waited.
func (r *runner) dropped() (count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subscription := range r.subscriptions {
		if dropped, err := subscription.Dropped(); err == nil {
			count += dropped
		}
	}
	return count
}

// handleEvent returns what became of an event.
func (r *runner) handleEvent(ctx context.Context, m *nats.Msg) (outcome string) {
	event, err := r.newEvent(m.Data)
	if err != nil {
		return outcomeMalformed
	}
	handle, known := r.plugin.events[event.Name]
	if !known {
		return outcomeMalformed
	}
	ctx, cancel := context.WithTimeout(ctx, bus.MaxPluginTimeout)
	defer cancel()
	err = protect(func() error { return handle(ctx, event) })
	if err != nil && ctx.Err() == nil {
		r.options.Log.ErrorContext(ctx, "handling an event failed", "event", event.Name, "error", err)
	}
	return outcomeOf(err, outcomeHandled)
}

func (r *runner) tick(ctx context.Context, one timer) {
	ctx, cancel := context.WithTimeout(ctx, max(one.interval, bus.MaxPluginTimeout))
	defer cancel()
	if err := protect(func() error { return one.do(ctx, r.channel) }); err != nil && ctx.Err() == nil {
		r.options.Log.ErrorContext(ctx, "what is done again and again failed", "interval", one.interval, "error", err)
	}
}

// panicError is a panic of a handler.
type panicError struct{ value, stack string }

func (e *panicError) Error() string { return "the handler panicked: " + e.value + " at " + e.stack }

// protect calls a handler, and returns its panic as an error.
func protect(handle func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{status.OneLine(fmt.Sprint(value), maxErrorText), string(debug.Stack())}
		}
	}()
	return handle()
}

// outcomeOf returns the outcome of a handler that returned err.
func outcomeOf(err error, success string) string {
	if err == nil {
		return success
	}
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return outcomePanicked
	}
	return outcomeFailed
}

// CheckName returns the name of a plugin's check in /status.
func CheckName(plugin string) status.CheckName { return status.CheckName("plugin-" + plugin) }

// Check returns whether the plugin can be called, and if not, why: it has not started, the server has refused a
// subscription, its handlers do not end, or a setting has a wrong value.
func (p *Plugin) Check() status.Check {
	r := p.runner.Load()
	if r == nil {
		return status.Check{
			Name: CheckName(p.name), Reason: status.ReasonStarting, Message: "the plugin has not started", Since: time.Now(),
		}
	}
	ok, reason, message := r.state()
	r.check.Set(ok, reason, message)
	return r.check.Check()
}

func (r *runner) state() (ok bool, reason status.Reason, message string) {
	connection := r.options.Conn.Check()
	if refused := r.refused(); len(refused) > 0 {
		return false, status.ReasonNATSPermissionMissing, fmt.Sprintf(
			"the NATS user of the plugin may not subscribe to %q: it lacks a grant, or its permissions are old", refused)
	}
	if !r.isReady() {
		return false, status.ReasonStarting, "the plugin is starting"
	}
	_, settings := r.settings.read()
	switch stuck := r.calls.stuck(time.Now()); {
	case !connection.OK:
		return false, connection.Reason, connection.Message
	case stuck >= bus.MaxPluginCalls:
		return false, status.ReasonPluginBusy, fmt.Sprintf("%d handlers go on although their time is over: no call is taken",
			stuck)
	case settings != "":
		return false, status.ReasonPluginSettingsInvalid, settings
	}
	return true, status.ReasonReady, fmt.Sprintf("%d commands, %d events", len(r.plugin.declared()), len(r.plugin.events))
}

// refused returns the subjects to which the server does not let the plugin subscribe.
func (r *runner) refused() (subjects []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subscription := range r.subscriptions {
		if r.options.Conn.Denied(subscription.Subject) {
			subjects = append(subjects, subscription.Subject)
		}
	}
	if r.discovery.Refused() {
		subjects = append(subjects, micro.APIPrefix+".INFO."+r.subjects.ServiceName())
	}
	slices.Sort(subjects)
	return subjects[:min(len(subjects), 3)]
}
