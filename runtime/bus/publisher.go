package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

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

// PublisherOptions say how to publish. Conn, Subjects and Log are required.
type PublisherOptions struct {
	Conn     *Conn
	Subjects Subjects
	// Binding says whether a stream keeps the events. Nil: none does.
	Binding *Binding
	// Log gets one line for each change of the service's state and, at level DEBUG, one for each message.
	Log *slog.Logger
	// Buffer is how many messages are kept. 0: DefaultBuffer.
	Buffer int
	// Fallback takes messages while nobody on NATS does. Nil: they wait.
	Fallback Sink
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
	conn     *Conn
	subjects Subjects
	binding  *Binding
	log      *slog.Logger
	requests *Requester
	queue    *queue
	reports  *queue // of queue, what the stream does not keep; empty without one
	service  *serviceState
	detour   *detour // nil without a fallback
	metrics  publisherMetrics
	durable  atomic.Bool // a stream keeps what is published
}

// NewPublisher makes a publisher. Nothing is sent until Run.
func NewPublisher(o PublisherOptions) *Publisher {
	if o.Buffer == 0 {
		o.Buffer = DefaultBuffer
	}
	q := newQueue(o.Buffer)
	p := &Publisher{
		conn: o.Conn, subjects: o.Subjects, binding: o.Binding, log: o.Log,
		requests: NewRequester(o.Conn, o.Subjects, nil),
		queue:    q,
		reports:  newQueue(o.Buffer),
		service:  newServiceState(o.Subjects, o.Log),
		metrics:  newPublisherMetrics(o.Registerer, q),
	}
	if o.Fallback != nil {
		p.detour = &detour{sink: o.Fallback, log: o.Log, metrics: p.metrics}
	}
	return p
}

// Publish takes a message and returns at once. eventID is the id of the event it tells of.
// payload is encoded before Publish returns.
func (p *Publisher) Publish(suffix Suffix, eventID string, payload any) {
	data, err := Encode(payload)
	if err != nil {
		p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
		p.log.Error("[NATS] cannot encode "+string(suffix), "error", err)
		return
	}
	if !p.queue.push(message{suffix: suffix, id: MsgID(eventID, suffix), data: data}) {
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
	case errors.Is(err, ErrNotConnected):
		p.service.absent(ErrNotConnected)
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
		p.service.absent(ErrNotConnected)
		return false
	}
	return p.service.answersOn(p.conn.number()) || p.askService(ctx)
}

// askService asks whether a service is there, and notes what it hears.
func (p *Publisher) askService(ctx context.Context) bool {
	connection := p.conn.number()
	knowsIDs, err := p.probe(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.service.absent(err)
		}
		return false
	}
	p.service.answered(connection, knowsIDs)
	return true
}

// probe sends a request that changes nothing and that every database service answers with an array.
// It answers whether the service knows ids.
func (p *Publisher) probe(ctx context.Context) (knowsIDs bool, err error) {
	reply, err := p.requests.request(ctx, OutboundGet, []byte(`{"limit":0}`))
	if err != nil {
		return false, err
	}
	if stream, captured := confirmation(reply.Data); captured {
		return false, &streamError{
			status.ReasonStreamCapturesRequests, capturesRequests(stream, p.subjects.Subject(OutboundGet)),
		}
	}
	if !bytes.HasPrefix(bytes.TrimSpace(reply.Data), []byte("[")) {
		return false, fmt.Errorf("requesting %s: %w", p.subjects.Subject(OutboundGet), errNotAService)
	}
	return reply.Header.Get(IDsHeader) != "", nil
}

func (p *Publisher) published(messages []message) {
	if len(messages) == 0 {
		return
	}
	for _, m := range messages {
		p.metrics.published.WithLabelValues(string(m.suffix)).Inc()
		p.log.Debug("[NATS] published "+string(m.suffix), "id", m.id)
	}
	p.service.flows()
}

// tooLarge drops a message that would never be taken and hold up everything behind it.
func (p *Publisher) tooLarge(m message) {
	p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
	p.log.Error("[NATS] too large to publish: "+string(m.suffix), "bytes", len(m.data))
}

func (p *Publisher) wire(m message) *nats.Msg {
	return &nats.Msg{Subject: p.subjects.Subject(m.suffix), Header: nats.Header{MsgIDHeader: {m.id}}, Data: m.data}
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
func (p *Publisher) ServiceAbsent() { p.service.absent(ErrNoService) }

// Check is the state of the database service as status.ServiceCheck.
func (p *Publisher) Check() status.Check { return p.detour.check(p.service.check(p.durable.Load())) }

// Encode is JSON without the escapes for HTML pages, since a line of chat is full of HTML.
func Encode(payload any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
