package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

const (
	// DefaultBuffer is the default of Options.Buffer.
	DefaultBuffer = 10_000
	// retryInterval is the pause after no route has taken anything.
	retryInterval = 500 * time.Millisecond
)

// Options configure a Publisher. Log is required, and so is Conn or Store.
type Options struct {
	// Conn and Subjects are where to publish. Without Conn there is no NATS: everything goes to Store.
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Channel is the channel that the database service has to serve. Zero: the service's own.
	Channel bus.Origin
	// Binding decides whether messages go to a stream. Nil: never.
	Binding *bus.Binding
	// Store takes messages while no route over NATS is available, and all messages without Conn. Nil: they wait.
	Store Storer
	// Log gets one line for each change of state and, at level DEBUG, one for each message.
	Log *slog.Logger
	// Buffer is the number of messages that wait at most. 0: DefaultBuffer.
	Buffer int
	// Registerer gets the publisher's metrics. Nil: none.
	Registerer prometheus.Registerer
}

// Storer is a database that the process has open itself.
type Storer interface {
	// Store stores messages in their order and returns when all are stored. After an error the same messages are
	// passed again, and none of them may be stored twice.
	Store(ctx context.Context, messages []bus.Message) error
}

// Publisher sends messages to the database in the order in which they were published. Its methods are safe for
// concurrent use; Run is called once.
type Publisher struct {
	log     *slog.Logger
	prefix  string // of log lines about waiting messages
	binding *bus.Binding
	queue   *queue
	metrics metrics
	routes  []route  // in order of preference
	service *service // nil without NATS
	// subjects are those of NATS.
	subjects bus.Subjects
	early    *earlyEvents
	store    *storeRoute // nil without a store

	// wakeWatch receives when watch has something to do.
	wakeWatch chan struct{}

	durable atomic.Bool  // messages go to the stream
	lost    atomic.Int64 // messages that a full queue has dropped since the last delivery

	outage atomic.Pointer[outage] // for traces. Nil: the last attempt has delivered something
}

// route is one way of messages to the database. Only Run uses it.
type route interface {
	// ready reports whether the route may be used now. It may send a request.
	ready(ctx context.Context, to destination) bool
	// send sends the beginning of a batch in order and waits for its confirmation. done is the number of messages that
	// must not be sent again: those delivered, and those that no recipient would ever take. It may be fewer than all
	// without an error.
	send(ctx context.Context, to destination, batch []bus.Message) (done int, err error)
}

// destination is where messages go at the moment, by NATS.
type destination struct {
	bound   bus.Bound
	err     error // nothing can be published: not connected, or it is unknown whether there is a stream
	durable bool  // messages go to the stream
}

// New returns a publisher. It sends nothing before Run.
func New(o Options) *Publisher {
	if o.Buffer == 0 {
		o.Buffer = DefaultBuffer
	}
	q := newQueue(o.Buffer)
	p := &Publisher{
		log: o.Log, prefix: viaStore, binding: o.Binding, queue: q, wakeWatch: make(chan struct{}, 1),
	}
	p.metrics = newMetrics(o.Registerer, p)
	if o.Conn != nil {
		p.prefix, p.subjects = viaNATS, o.Subjects
		p.service = newService(o)
		o.Conn.NotifyChange(q.pushed)
		o.Conn.NotifyChange(p.wakeWatch)
		p.early = newEarlyEvents(p.service, q)
		common := natsRoute{subjects: o.Subjects, log: o.Log, metrics: p.metrics}
		toStream := &streamRoute{natsRoute: common, binding: o.Binding, service: p.service, early: p.early}
		p.routes = append(p.routes, toStream, &coreRoute{
			common, o.Conn, p.service, &replayedLines{requests: p.service.requests, channel: o.Channel, log: o.Log},
		})
	}
	if o.Store != nil {
		p.store = newStoreRoute(o.Store, o.Conn != nil, o.Log, p.metrics)
		p.routes = append(p.routes, p.store)
	}
	return p
}

// Publish queues a message and returns at once. eventID is the ID of the event that the message reports. payload is
// encoded before Publish returns. Of ctx only the span is used: the message belongs to its trace.
func (p *Publisher) Publish(ctx context.Context, suffix bus.Suffix, eventID string, payload any) {
	data, err := bus.Encode(payload)
	if err != nil {
		p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
		p.log.ErrorContext(ctx, p.prefix+"cannot encode "+string(suffix), "error", err)
		return
	}
	line, _ := payload.(bus.MessagePayload)
	message := bus.Message{
		Suffix: suffix, ID: bus.MsgID(eventID, suffix), Data: data, Replayed: line.Replayed, Published: time.Now(),
	}
	message.Span = p.startSend(ctx, message)
	if dropped := p.queue.push(message); dropped > 0 {
		p.metrics.dropped.WithLabelValues(droppedFull).Add(float64(dropped))
		p.lost.Add(int64(dropped))
		p.wakeUpWatch() // which logs it: Publish must not wait for a slow log
	}
}

// Run sends messages until ctx ends. What waits then is lost with the process: call Flush before.
func (p *Publisher) Run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { p.watch(ctx) })
	for ctx.Err() == nil {
		p.sendNext(ctx)
	}
}

// sendNext sends one batch by the first route that takes it. If there is nothing to send, or no route takes it, it
// waits.
func (p *Publisher) sendNext(ctx context.Context) {
	to := p.decide(ctx)
	var failure error
	for _, r := range p.routes {
		if !r.ready(ctx, to) {
			continue
		}
		p.noteRoute()
		batch, first := p.queue.front(maxBatch)
		if len(batch) == 0 {
			p.routeWorks(r)
			backoff.Wait(ctx, p.untilLook(r), p.queue.pushed)
			return
		}
		done, err := r.send(ctx, to, batch)
		p.queue.removeTo(first + done)
		if lost := p.lost.Load(); done > 0 && lost > 0 {
			p.lost.Add(-lost)
			p.log.WarnContext(ctx, p.prefix+"messages were lost because the buffer was full", "count", lost)
		}
		if err == nil {
			p.routeWorks(r)
			return
		}
		failure = err
	}
	p.noteOutage(to, failure)
	backoff.Wait(ctx, retryInterval, nil)
}

// untilLook returns for how long a publisher without messages need not look whether a route that works still does: a
// message, and a change of the connection, wake it. A process that wakes up more often than something happens uses most
// of its processor time for that.
func (p *Publisher) untilLook(r route) time.Duration {
	switch {
	case p.service == nil:
		return idle
	case r == p.store || !p.service.check.Check().OK:
		return retryInterval
	case p.durable.Load():
		return max(p.binding.UntilDue(), retryInterval) // watch asks the service
	}
	return max(min(p.service.untilDue(), p.binding.UntilDue()), retryInterval)
}

// idle is how long a publisher sleeps that is woken for everything.
const idle = time.Hour

// decide determines where messages go on NATS.
func (p *Publisher) decide(ctx context.Context) (to destination) {
	if p.service == nil {
		return destination{err: bus.ErrNotConnected}
	}
	to.bound, to.err = p.binding.Bind(ctx)
	if to.err != nil && !p.service.conn.Connected() {
		p.service.reportAbsent(bus.ErrNotConnected)
	}
	to.durable = to.bound.Durable() && p.early.allowStream(ctx, to.bound) && p.service.deduplicates()
	if p.durable.Swap(to.durable) != to.durable {
		p.wakeUpWatch()
	}
	return to
}

// routeWorks records that a route works: while one over NATS does, the store is not needed.
func (p *Publisher) routeWorks(r route) {
	p.outage.Store(nil)
	if p.store != nil && r != p.store {
		p.store.stop()
	}
}

// watch does what must not wait until Run has sent a batch. It logs that the queue is full. And while messages go to
// the stream, which needs no database service, it checks every few seconds whether one answers: Check reports it, and
// one that does not know IDs has to get its messages by core NATS.
func (p *Publisher) watch(ctx context.Context) {
	logged := false
	for ctx.Err() == nil {
		full := p.lost.Load() > 0
		if full && !logged {
			p.log.ErrorContext(ctx, p.prefix+"the buffer is full: the oldest messages are dropped", "buffer", p.queue.limit)
		}
		logged = full
		if p.durable.Load() {
			p.service.watch(ctx)
		}
		backoff.Wait(ctx, p.untilWatch(full), p.wakeWatch)
	}
}

func (p *Publisher) wakeUpWatch() {
	select {
	case p.wakeWatch <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// untilWatch returns the pause of watch. full means that the queue drops messages.
func (p *Publisher) untilWatch(full bool) time.Duration {
	switch {
	case full:
		return retryInterval
	case p.service == nil:
		return idle
	case !p.durable.Load():
		return answerValid
	case !p.service.check.Check().OK:
		return retryInterval
	}
	return max(p.service.untilDue(), retryInterval)
}

// Flush waits until everything that was published before the call has been delivered or dropped. Run must be running.
// The error states how many messages were left when ctx ended.
func (p *Publisher) Flush(ctx context.Context) error {
	if left, err := p.queue.flush(ctx); err != nil {
		return fmt.Errorf("publishing: %d messages left: %w", left, err)
	}
	return nil
}

// Check returns the state of the database service as status.ServiceCheck. It is also OK if the process can do without
// a service because it has the database open itself.
//
// The message does not state how many messages wait, since each change of it is written to the RoseyBot's status. The
// number is a metric.
func (p *Publisher) Check() status.Check {
	if p.service == nil {
		return p.store.check.Check()
	}
	service := p.service.check.Check()
	if service.OK {
		return service
	}
	switch {
	case p.service.refuses():
		service.Message += "; events are kept until it does"
	case p.durable.Load():
		service.Message += "; the stream keeps events until one does"
	default:
		service.Message += "; events are kept until one answers"
	}
	if p.store == nil {
		return service
	}
	store := p.store.check.Check()
	if store.OK {
		return store
	}
	if store.Reason == status.ReasonStoreUnavailable {
		service.Message += "; the bot cannot write to the database itself: " + store.Message
	}
	return service
}

// metrics count what becomes of messages.
type metrics struct {
	published *prometheus.CounterVec
	stored    *prometheus.CounterVec
	dropped   *prometheus.CounterVec
	latency   prometheus.Histogram
}

// observe observes how long it took to deliver a message. One that is published again has been observed.
func (m metrics) observe(delivered bus.Message) {
	if !delivered.Published.IsZero() {
		m.latency.Observe(time.Since(delivered.Published).Seconds())
	}
}

// Why a message was dropped: the values of the label reason.
const (
	droppedFull     = "buffer_full"
	droppedTooLarge = "too_large"
	droppedInvalid  = "invalid"
	droppedRefused  = "refused"
)

func newMetrics(registerer prometheus.Registerer, p *Publisher) metrics {
	register := promauto.With(registerer)
	counter := func(name, label, help string) *prometheus.CounterVec {
		return register.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	register.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_bus_buffered",
		Help: "Messages that wait for the stream, for a database service, or for the database that the bot has open itself.",
	}, func() float64 { return float64(p.queue.len()) })
	register.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_bus_durable",
		Help: "1 while messages go to the stream, which keeps them until they are stored.",
	}, func() float64 {
		if p.durable.Load() {
			return 1
		}
		return 0
	})
	m := metrics{
		published: counter("rosey_bus_published_total", "subject",
			"Messages that the stream has confirmed, or without one a database service, by subject without prefix."),
		stored: counter("rosey_bus_stored_directly_total", "subject",
			"Messages that the bot has written to the database itself, not over NATS, by subject without prefix."),
		dropped: counter("rosey_bus_dropped_total", "reason",
			"Messages that were neither published nor stored, by reason: buffer_full, too_large, invalid or refused."),
		latency: register.NewHistogram(prometheus.HistogramOpts{
			Name: "rosey_bus_publish_seconds",
			Help: "Time from an event until its message is confirmed by the stream, or without one by a database service or " +
				"the bot's own database.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10), // to about two minutes
		}),
	}
	// Prometheus sees no increase when a series begins.
	for _, reason := range []string{droppedFull, droppedTooLarge, droppedInvalid, droppedRefused} {
		m.dropped.WithLabelValues(reason)
	}
	for _, subject := range bus.Events {
		m.published.WithLabelValues(string(subject))
	}
	return m
}
