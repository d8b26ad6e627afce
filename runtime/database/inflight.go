package database

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/backoff"
)

const (
	// ackWait is how long the stream waits for an acknowledgement or a progress report of a message before it delivers it
	// to another service.
	ackWait = 10 * time.Second
	// keepAliveInterval is how often the service reports messages to the stream as in progress. Two of three reports may
	// get lost.
	keepAliveInterval = ackWait / 3
	// maxInFlight and maxInFlightBytes bound the messages that were delivered and are not stored yet: a few batches.
	maxInFlight      = 4 * maxBatch
	maxInFlightBytes = 2 * maxBatchBytes
)

// inFlight are the messages that the stream has delivered and that are not acknowledged. No lock is held while anything
// is sent to the stream.
type inFlight struct {
	mu       sync.Mutex
	messages map[jetstream.Msg]bool // true: stored, but the acknowledgement could not be sent yet
	count    int                    // messages that are not stored
	bytes    int64                  // of these
	room     chan struct{}          // receives when there may be room again
}

func newInFlight() *inFlight {
	return &inFlight{room: make(chan struct{}, 1), messages: map[jetstream.Msg]bool{}}
}

// awaitRoom waits until there is room for half of maxInFlight. It returns for how many messages there is room, or 0 if
// ctx ended before. One caller at a time may wait, in it or in add.
func (f *inFlight) awaitRoom(ctx context.Context) int {
	for {
		f.mu.Lock()
		room := maxInFlight - f.count
		if f.bytes >= maxInFlightBytes {
			room = 0
		}
		f.mu.Unlock()
		if room >= maxInFlight/2 {
			return room
		}
		select {
		case <-f.room:
		case <-ctx.Done():
			return 0
		}
	}
}

// add waits until there is room for one more. It reports whether there was before ctx ended. One caller at a time may
// wait.
func (f *inFlight) add(ctx context.Context, one *arrival) bool {
	for !f.tryAdd(one) {
		select {
		case <-f.room:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// tryAdd adds a message if there is room. There is always room for one.
func (f *inFlight) tryAdd(one *arrival) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count > 0 && (f.count >= maxInFlight || f.bytes+one.size > maxInFlightBytes) {
		return false
	}
	f.count++
	f.bytes += one.size
	f.messages[one.inFlight] = false
	return true
}

// stored makes room for others.
func (f *inFlight) stored(one *arrival) {
	f.mu.Lock()
	f.count--
	f.bytes -= one.size
	f.mu.Unlock()
	select {
	case f.room <- struct{}{}:
	default:
	}
}

// acknowledge acknowledges the messages of what was stored, each on its own: the messages in between belong to other
// replicas. If an acknowledgement gets lost, the message is delivered again, which its ID makes harmless.
func (f *inFlight) acknowledge(stored []arrival) {
	for i := range stored {
		if stored[i].inFlight != nil {
			f.sendAck(stored[i].inFlight)
			f.stored(&stored[i])
		}
	}
}

// sendAck does not wait for the server.
func (f *inFlight) sendAck(m jetstream.Msg) {
	err := m.Ack()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		delete(f.messages, m)
		return
	}
	f.messages[m] = true // there is no connection, and keepAlive tries again
}

// keepAlive reports the messages to the stream as in progress until ctx ends, however long the store is unavailable,
// and sends the acknowledgements that could not be sent before.
func (f *inFlight) keepAlive(ctx context.Context) {
	for backoff.Sleep(ctx, keepAliveInterval) {
		f.each(func(m jetstream.Msg) error { return m.InProgress() })
	}
}

// nakUnstored makes the stream deliver the messages that could not be stored to other services at once. It returns
// their number.
func (f *inFlight) nakUnstored() int {
	return f.each(func(m jetstream.Msg) error { return m.Nak() })
}

// each calls do for each message that is not stored, and acknowledges the others. It returns how often it called do.
func (f *inFlight) each(do func(jetstream.Msg) error) (count int) {
	f.mu.Lock()
	messages := maps.Clone(f.messages)
	f.mu.Unlock()
	for m, stored := range messages {
		if stored {
			f.sendAck(m)
			continue
		}
		count++
		_ = do(m) // fails without a connection, and then the stream delivers the message to others in time
	}
	return count
}
