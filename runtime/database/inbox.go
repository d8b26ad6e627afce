package database

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// maxWaiting bounds the messages that wait for the store. What is too much nats.go drops and reports.
	maxWaiting = 65_536
	// maxIncoming only bridges the moments until receive runs.
	maxIncoming = 8_192
)

// arrival is a message and when it came. Messages may wait long for the store, and those without a
// time of their own must not move to when it came back.
type arrival struct {
	*nats.Msg

	at time.Time
	// kept is nil for what came by core NATS.
	kept *kept
}

// inbox holds what has arrived, of all subjects in one order.
type inbox struct {
	incoming chan *nats.Msg // from nats.go
	arrived  chan arrival   // for the worker
	ended    chan struct{}
}

func newInbox() *inbox {
	return &inbox{
		incoming: make(chan *nats.Msg, maxIncoming),
		arrived:  make(chan arrival, maxWaiting),
		ended:    make(chan struct{}),
	}
}

func (i *inbox) len() int { return len(i.incoming) + len(i.arrived) }

// receive notes when messages arrive, until noMore was called and all have been passed on, or ctx ends.
// It closes arrived.
func (i *inbox) receive(ctx context.Context) {
	defer close(i.arrived)
	for {
		select {
		case message := <-i.incoming:
			if !i.pass(ctx, message) {
				return
			}
		case <-i.ended:
			for len(i.incoming) > 0 {
				if !i.pass(ctx, <-i.incoming) {
					return
				}
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

func (i *inbox) pass(ctx context.Context, message *nats.Msg) bool {
	return i.put(ctx, arrival{Msg: message, at: time.Now()})
}

// put adds a message. It must not be called any more when noMore is. It answers false when ctx ended.
func (i *inbox) put(ctx context.Context, one arrival) bool {
	select {
	case i.arrived <- one:
		return true
	case <-ctx.Done():
		return false
	}
}

// lost takes out and counts what nobody works on any more and no stream keeps.
func (i *inbox) lost() int {
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
		return len(i.incoming) + count(left)
	}
}

// count counts the messages that no stream keeps.
func count(messages []arrival) (unkept int) {
	for _, one := range messages {
		if one.kept == nil {
			unkept++
		}
	}
	return unkept
}

// noMore says that nothing comes in any more.
func (i *inbox) noMore() { close(i.ended) }

// next waits for a message and takes what else has arrived by then, up to limit. It answers nothing
// after the last message. There is no timer: under load batches grow by themselves.
func (i *inbox) next(limit int) (batch []arrival) {
	first, ok := <-i.arrived
	if !ok {
		return nil
	}
	batch = append(batch, first)
	for len(batch) < limit {
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
