package database

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxWaiting bounds the messages that wait for the store. nats.go drops and reports messages beyond it.
	maxWaiting = 65_536
	// maxIncoming bounds the messages that nats.go has delivered and receive has not yet taken, usually for a moment only.
	maxIncoming = 8_192
)

// arrival is a message that has arrived.
type arrival struct {
	// message has the time of its arrival, or the stream's time, because it may wait for the store for a long time.
	message bus.Message
	// respond sends a reply. It is nil for an event.
	respond func(data []byte) error
	// inFlight is nil for a message that came by core NATS.
	inFlight jetstream.Msg
}

// inbox is the one queue of everything that has arrived, in the order in which nats.go read it from the connection.
//
// nats.go delivers events into the channel events in the order in which it reads them, but runs request handlers in
// their own goroutines. Handle therefore marks a request's position with a nil in events; receive takes the matching
// request from requests.
type inbox struct {
	subjects bus.Subjects
	events   chan *nats.Msg
	arrived  chan arrival // for the worker
	ended    chan struct{}

	mu       sync.Mutex // orders the nils of events as the requests
	closed   bool
	requests chan micro.Request
	// droppedRequests counts those for which there was no room.
	droppedRequests atomic.Int64
}

func newInbox(subjects bus.Subjects) *inbox {
	return &inbox{
		subjects: subjects,
		events:   make(chan *nats.Msg, maxIncoming),
		arrived:  make(chan arrival, maxWaiting),
		ended:    make(chan struct{}),
		requests: make(chan micro.Request, maxIncoming+1), // as many as there are nils, and the one that receive is handling
	}
}

// len returns the number of messages that wait.
func (i *inbox) len() int { return len(i.events) + len(i.arrived) }

// Handle implements micro.Handler. It never blocks: without room the request is dropped and counted, as nats.go does
// with events.
func (i *inbox) Handle(r micro.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return // the service stops: the client gets no reply and tries another service
	}
	select {
	case i.events <- nil:
		i.requests <- r
	default:
		i.droppedRequests.Add(1)
	}
}

// close closes the inbox: no subscription delivers to it any more.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	close(i.ended)
}

// receive passes messages on to the worker and stamps them with the time of their arrival, until close was called and
// everything has been passed on, or ctx ends. It closes arrived, but not before close was called: others may call put
// until then.
func (i *inbox) receive(ctx context.Context) {
	defer close(i.arrived)
	defer func() { <-i.ended }()
	for {
		select {
		case m := <-i.events:
			if !i.put(ctx, i.convert(m)) {
				return
			}
		case <-i.ended:
			for len(i.events) > 0 {
				if !i.put(ctx, i.convert(<-i.events)) {
					return
				}
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// convert converts what came out of the channel events.
func (i *inbox) convert(m *nats.Msg) arrival {
	if m == nil {
		r := <-i.requests
		one := arrival{message: bus.Message{Data: r.Data(), Time: time.Now()}}
		one.message.Suffix, _ = i.subjects.Suffix(r.Subject())
		one.respond = func(data []byte) error {
			if r.Reply() == "" {
				return nil // it was published, not requested
			}
			return r.Respond(data, micro.WithHeaders(micro.Headers{bus.IDsHeader: {"once"}}))
		}
		return one
	}
	one := arrival{message: bus.Message{ID: m.Header.Get(bus.MsgIDHeader), Data: m.Data, Time: time.Now()}}
	one.message.Suffix, _ = i.subjects.Suffix(m.Subject) // only subjects of this prefix are subscribed
	if m.Reply != "" && handlers[one.message.Suffix] != nil {
		one.respond = func(data []byte) error {
			return m.RespondMsg(&nats.Msg{Data: data, Header: nats.Header{bus.IDsHeader: {"once"}}})
		}
	}
	return one
}

// put adds a message. It must not be called after close. It reports whether ctx is still running.
func (i *inbox) put(ctx context.Context, one arrival) bool {
	select {
	case i.arrived <- one:
		return true
	case <-ctx.Done():
		return false
	}
}

// next waits for a message and appends it to batch, with those that have arrived by then, until batch is full. It
// appends none after the last message. There is no timer: under load batches grow by themselves.
func (i *inbox) next(batch []arrival) []arrival {
	first, ok := <-i.arrived
	if !ok {
		return batch
	}
	batch = append(batch, first)
	for len(batch) < cap(batch) {
		select {
		case another, ok := <-i.arrived:
			if !ok {
				return batch
			}
			batch = append(batch, another)
		default:
			return batch
		}
	}
	return batch
}

// discard removes the messages that will not be handled, and returns how many of them are in no stream.
func (i *inbox) discard() int {
	var left []arrival
	for {
		select {
		case one, ok := <-i.arrived:
			if ok {
				left = append(left, one)
				continue
			}
		default:
		}
		return len(i.events) + countLost(left)
	}
}

// countLost counts the messages that are in no stream.
func countLost(messages []arrival) (count int) {
	for _, one := range messages {
		if one.inFlight == nil {
			count++
		}
	}
	return count
}
