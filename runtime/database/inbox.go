package database

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

const (
	// maxWaiting and maxWaitingBytes bound the messages that wait for the store. Further ones are dropped and counted.
	maxWaiting      = 65_536
	maxWaitingBytes = 48 << 20
	// messageOverhead is about what a message takes in memory beside its content.
	messageOverhead = 512
	// maxIncoming bounds the messages that nats.go has delivered and receive has not yet taken, usually for a moment only.
	maxIncoming = 8_192
	// maxBatchBytes bounds the messages of one batch unless it is a single one.
	maxBatchBytes = 4 << 20
	// refusalInterval is the minimum time between two log lines about requests that were dropped because of their reply
	// subjects.
	refusalInterval = time.Minute
)

// arrival is a message that has arrived.
type arrival struct {
	// message has the time of its arrival, or the stream's time, because it may wait for the store for a long time.
	message bus.Message
	// plugin is who asks for its keys, and zero for other messages.
	plugin pluginRef
	// respond sends a reply with headers of its own, which may be nil. It is nil for an event.
	respond func(data []byte, header nats.Header) error
	// isAwaited reports whether somebody waits for the reply, and so learns that there is none.
	isAwaited bool
	// inFlight is nil for a message that the consumer has not delivered.
	inFlight jetstream.Msg
	// stored is called when a message that was read again from the stream is stored. Nil for others.
	stored func()
	// size is about what the message takes in memory, in bytes.
	size int64
}

// inbox is the one queue of everything that has arrived, in the order in which nats.go read it from the connection:
// events and requests by core NATS, for which nats.go writes into the channel incoming, and the events of a stream.
type inbox struct {
	subjects bus.Subjects
	metrics  *metrics
	log      *slog.Logger
	incoming chan *nats.Msg
	// arrived is for the worker. It has pointers: the runtime clears a channel that it makes from used memory, and one of
	// whole messages would be 13 MB of it.
	arrived chan *arrival
	ended   chan struct{}

	bytes   atomic.Int64 // of the messages in arrived
	dropped atomic.Int64 // messages for which there was no room

	// receive alone uses these.
	refused   int       // requests that were dropped because of their reply subjects since the last log line
	refusedAt time.Time // of the last log line
}

func newInbox(subjects bus.Subjects, m *metrics, log *slog.Logger) *inbox {
	return &inbox{
		subjects: subjects, metrics: m, log: log,
		incoming: make(chan *nats.Msg, maxIncoming),
		arrived:  make(chan *arrival, maxWaiting),
		ended:    make(chan struct{}),
	}
}

// len returns the number of messages that wait.
func (i *inbox) len() int { return len(i.incoming) + len(i.arrived) }

// close closes the inbox: no subscription delivers to it any more.
func (i *inbox) close() { close(i.ended) }

// receive passes messages on to the worker and stamps them with the time of their arrival, until close was called and
// everything has been passed on, or ctx ends. It closes arrived, but not before close was called: others may call put
// until then.
func (i *inbox) receive(ctx context.Context) {
	defer close(i.arrived)
	defer func() { <-i.ended }()
	for {
		select {
		case m := <-i.incoming:
			i.accept(m)
		case <-i.ended:
			for len(i.incoming) > 0 {
				i.accept(<-i.incoming)
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// accept passes on a message by core NATS. It never blocks: without room the message is dropped and counted, because
// messages that pile up in incoming would not be bounded in bytes.
func (i *inbox) accept(m *nats.Msg) {
	one := arrival{
		message: bus.Message{
			ID: m.Header.Get(bus.MsgIDHeader), Data: m.Data, Time: time.Now(), Span: publishersSpan(m.Header),
		},
		size: int64(m.Size()) + messageOverhead,
	}
	suffix, _ := i.subjects.Suffix(m.Subject) // only subjects of this prefix are subscribed
	one.message.Suffix, one.plugin = route(suffix)
	_, answered := handlers[one.message.Suffix]
	_, isEvent := factDecoders[one.message.Suffix]
	switch {
	case !answered || m.Reply == "" && isEvent:
	case m.Reply != "" && !bus.IsInbox(m.Reply):
		i.refuse(m, one.message)
		return
	default:
		one.respond, one.isAwaited = responder(m), m.Reply != ""
	}
	if i.bytes.Add(one.size); !i.hasRoom(&one) {
		i.drop(&one)
		return
	}
	select {
	case i.arrived <- &one:
	default:
		i.drop(&one)
	}
}

// hasRoom reports whether a message may wait. Requests leave half of the room to events: a client repeats a request
// that gets no reply, and nobody repeats an event that a flood of requests has displaced.
func (i *inbox) hasRoom(one *arrival) bool {
	if one.respond != nil {
		return i.bytes.Load() <= maxWaitingBytes/2 && len(i.arrived) < maxWaiting/2
	}
	return i.bytes.Load() <= maxWaitingBytes
}

// drop counts a message for which there is no room.
func (i *inbox) drop(one *arrival) {
	i.bytes.Add(-one.size)
	i.dropped.Add(1)
}

// responder returns a function that replies to m. It does nothing if m was published and not requested.
func responder(m *nats.Msg) func(data []byte, header nats.Header) error {
	return func(data []byte, header nats.Header) error {
		if m.Reply == "" {
			return nil
		}
		if header == nil {
			header = nats.Header{}
		}
		header.Set(bus.IDsHeader, "once")
		return m.RespondMsg(&nats.Msg{Data: data, Header: header})
	}
}

// refuse counts a request whose reply subject is no inbox. It is not handled: with a reply the client would have the
// service publish where the client itself may not.
func (i *inbox) refuse(m *nats.Msg, message bus.Message) {
	i.metrics.count(message.Suffix, outcomeNoInbox, message.Time)
	i.refused++
	if time.Since(i.refusedAt) < refusalInterval {
		return
	}
	i.log.Warn("[NATS] dropped requests whose reply subjects are no inboxes", "count", i.refused,
		"subject", message.Suffix, "reply", status.OneLine(m.Reply, 100))
	i.refused, i.refusedAt = 0, time.Now()
}

// put adds an event of a stream, which is never dropped: inFlight bounds how many there are. It must not be called
// after close.
func (i *inbox) put(ctx context.Context, one arrival) {
	i.bytes.Add(one.size)
	select {
	case i.arrived <- &one:
	case <-ctx.Done():
		i.bytes.Add(-one.size)
	}
}

// next waits for a message and appends it to batch, with those that have arrived by then, until batch is full or has
// maxBatchBytes. It appends none after the last message. There is no timer: under load batches grow by themselves.
func (i *inbox) next(batch []arrival) []arrival {
	one, ok := <-i.arrived
	for size := int64(0); ok; {
		i.bytes.Add(-one.size)
		batch = append(batch, *one)
		size += one.size
		if len(batch) == cap(batch) || size >= maxBatchBytes {
			return batch
		}
		select {
		case one, ok = <-i.arrived:
		default:
			return batch
		}
	}
	return batch
}

// discard removes the messages that will not be handled, and returns how many of them are lost.
func (i *inbox) discard() int {
	var left []arrival
	for {
		select {
		case one, ok := <-i.arrived:
			if ok {
				left = append(left, *one)
				continue
			}
		default:
		}
		return len(i.incoming) + countLost(left)
	}
}

// countLost counts the messages that are lost: those in a stream are not, nor requests, whose
// senders get no reply and can repeat them.
func countLost(messages []arrival) (count int) {
	for _, one := range messages {
		if one.inFlight == nil && one.stored == nil && !one.isAwaited {
			count++
		}
	}
	return count
}
