package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

const (
	// DefaultBuffer is how many messages a Publisher keeps while no database service answers.
	DefaultBuffer = 10_000
	// maxBatch bounds what is published again when it cannot be confirmed.
	maxBatch = 256
	// probeInterval is how often an absent service is looked for.
	probeInterval = 500 * time.Millisecond
)

// Options say how to publish. Conn, Subjects and Log are required.
type Options struct {
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Binding says whether a stream keeps the events. Nil: none does.
	Binding *bus.Binding
	// Log gets one line for each change of the service's state and, at level DEBUG, one for each message.
	Log *slog.Logger
	// Buffer is how many messages are kept. 0: DefaultBuffer.
	Buffer int
	// Fallback takes messages while nobody on NATS does. Nil: they wait.
	Store Storer
	// Registerer gets the publisher's metrics. Nil: none.
	Registerer prometheus.Registerer
}

// Publisher sends messages to the database service in the order in which they were given to it.
//
// Where a stream keeps events, each is let go when the stream has confirmed it, whether a service is there or not.
//
// Core NATS throws away what nobody subscribes to and confirms nothing. So there messages are kept until a
// service answers, published, and let go when a service still answers behind them on the same
// connection. Our service answers behind what it has stored, so nothing is lost when it is killed.
//
// What could not be confirmed is published again; its ids make that harmless. To a service that knows no ids
// nothing is: what was on its way when the connection broke is lost rather than stored twice.
type Publisher struct {
	conn     *bus.Conn
	subjects bus.Subjects
	binding  *bus.Binding
	log      *slog.Logger
	requests *bus.Requester
	queue    *queue
	reports  *queue // of queue, what the stream does not keep; empty without one
	service  *serviceState
	detour   *detour // nil without a fallback
	metrics  metrics
	durable  atomic.Bool // a stream keeps what is published
}

// New makes a publisher. Nothing is sent until Run.
func New(o Options) *Publisher {
	if o.Buffer == 0 {
		o.Buffer = DefaultBuffer
	}
	q := newQueue(o.Buffer)
	p := &Publisher{
		conn: o.Conn, subjects: o.Subjects, binding: o.Binding, log: o.Log,
		requests: bus.NewRequester(o.Conn, o.Subjects, nil),
		queue:    q,
		reports:  newQueue(o.Buffer),
		service:  newServiceState(o.Subjects, o.Log),
		metrics:  newMetrics(o.Registerer, q),
	}
	if o.Store != nil {
		p.detour = &detour{storer: o.Store, log: o.Log, metrics: p.metrics}
	}
	return p
}

// Publish takes a message and returns at once. eventID is the id of the event it tells of.
// payload is encoded before Publish returns.
func (p *Publisher) Publish(suffix bus.Suffix, eventID string, payload any) {
	data, err := bus.Encode(payload)
	if err != nil {
		p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
		p.log.Error("[NATS] cannot encode "+string(suffix), "error", err)
		return
	}
	if !p.queue.push(bus.Message{Suffix: suffix, ID: bus.MsgID(eventID, suffix), Data: data}) {
		p.metrics.dropped.WithLabelValues(droppedFull).Inc()
		p.service.dropped(p.queue.limit)
	}
}

// Run sends until ctx ends. What is then still kept is lost with the process: call Flush before.
func (p *Publisher) Run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { p.watchService(ctx) })
	for ctx.Err() == nil {
		switch {
		case p.give(ctx):
			p.detour.end()
		case !p.detour.take(ctx, p.queue):
			p.pause(ctx, nil)
		}
	}
}

// give sends one batch or waits for one. It answers false when NATS takes nothing.
func (p *Publisher) give(ctx context.Context) bool {
	bound, err := p.binding.Bind(ctx)
	durable := bound.Durable() && !p.service.storesAgain()
	p.durable.Store(durable)
	switch {
	case errors.Is(err, bus.ErrNotConnected):
		p.service.absent(bus.ErrNotConnected)
		return false
	case err != nil:
		return false
	case durable:
		return p.giveToStream(ctx, bound)
	default:
		return p.giveToService(ctx)
	}
}

// watchService looks for the service beside what goes to the stream: that must not wait for its answers.
func (p *Publisher) watchService(ctx context.Context) {
	for ctx.Err() == nil {
		if p.durable.Load() && p.serviceAnswers(ctx) {
			p.giveReports(ctx)
		}
		p.pause(ctx, p.reports.pushed)
	}
}

// pause also ends after probeInterval, to see whether the connection was lost meanwhile.
func (p *Publisher) pause(ctx context.Context, wake <-chan struct{}) {
	pause(ctx, wake, probeInterval)
}

// serviceAnswers says whether a service answered on this very connection, and asks if need be.
func (p *Publisher) serviceAnswers(ctx context.Context) bool {
	if !p.conn.Connected() {
		p.service.absent(bus.ErrNotConnected)
		return false
	}
	return p.service.answersOn(p.conn.Generation()) || p.askService(ctx)
}

// askService asks whether a service is there, and notes what it hears.
func (p *Publisher) askService(ctx context.Context) bool {
	connection := p.conn.Generation()
	knowsIDs, err := p.requests.FindService(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.service.absent(err)
		}
		return false
	}
	p.service.answered(connection, knowsIDs)
	return true
}

func (p *Publisher) published(messages []bus.Message) {
	if len(messages) == 0 {
		return
	}
	for _, m := range messages {
		p.metrics.published.WithLabelValues(string(m.Suffix)).Inc()
		p.log.Debug("[NATS] published "+string(m.Suffix), "id", m.ID)
	}
	p.service.flows()
}

// tooLarge drops a message that would never be taken and hold up everything behind it.
func (p *Publisher) tooLarge(m bus.Message) {
	p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
	p.log.Error("[NATS] too large to publish: "+string(m.Suffix), "bytes", len(m.Data))
}

func (p *Publisher) wire(m bus.Message) *nats.Msg {
	return &nats.Msg{Subject: p.subjects.Subject(m.Suffix), Header: nats.Header{bus.MsgIDHeader: {m.ID}}, Data: m.Data}
}

// Flush waits until everything that was published before the call has been sent.
// Run must be running. The error tells how many messages are left when ctx ended.
func (p *Publisher) Flush(ctx context.Context) error {
	for _, each := range []*queue{p.queue, p.reports} {
		if left, err := each.flush(ctx); err != nil {
			return fmt.Errorf("sending what is left to the database service: %d messages: %w", left, err)
		}
	}
	return nil
}

// ServiceAbsent tells the publisher that a request found nobody, so that it keeps messages at once.
func (p *Publisher) ServiceAbsent() { p.service.absent(bus.ErrNoService) }

// Check is the state of the database service as status.ServiceCheck.
func (p *Publisher) Check() status.Check { return p.detour.check(p.service.check(p.durable.Load())) }
