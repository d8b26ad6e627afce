package database

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ackWait is after what time the stream gives a message to somebody else when nothing is heard of it.
	ackWait = 10 * time.Second
	// sign is how often the stream hears that a message is still worked on. Two may get lost.
	sign = ackWait / 3
	// maxHeld bounds the messages that are taken from the stream and not stored yet: a few batches.
	maxHeld = 4 * maxBatch
)

// kept is a message that the stream keeps until it is acknowledged.
type kept struct {
	message jetstream.Msg
	// id names the message for ever, for one that has no id of its own.
	id string
	// repeats says that it repeats one that came a moment before.
	repeats bool
}

// held are the messages that are taken from the stream and not acknowledged.
type held struct {
	room chan struct{} // a token for each

	mu       sync.Mutex
	messages map[*kept]bool // true: stored, and the stream could not be told yet
}

func newHeld() *held {
	return &held{room: make(chan struct{}, maxHeld), messages: map[*kept]bool{}}
}

// take waits until there is room for one more, or answers false when ctx ended.
func (h *held) take(ctx context.Context, k *kept) bool {
	select {
	case h.room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages[k] = false
	return true
}

// stored acknowledges messages, each by itself: others of us have those between. One whose acknowledgement is lost
// comes again, and its id makes that harmless.
func (h *held) stored(done []*kept) {
	if len(done) == 0 {
		return // a database in the bot's own process holds nothing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range done {
		h.messages[k] = true
		h.acknowledge(k)
		<-h.room
	}
}

// acknowledge needs the lock.
func (h *held) acknowledge(k *kept) {
	if k.message.Ack() == nil { // else the connection is broken
		delete(h.messages, k)
	}
}

// keepAlive tells the stream until ctx ends that what is held is worked on, however long the store is away.
func (h *held) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(sign)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.each(func(m jetstream.Msg) error { return m.InProgress() })
		}
	}
}

// giveBack has the stream give to others at once what could not be stored. It answers how many.
func (h *held) giveBack() int {
	return h.each(func(m jetstream.Msg) error { return m.Nak() })
}

// each does something with what is not stored, and acknowledges the rest.
func (h *held) each(do func(jetstream.Msg) error) (count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, stored := range h.messages {
		if stored {
			h.acknowledge(k)
			continue
		}
		count++
		_ = do(k.message) // only a broken connection fails, and then the stream gives it to others in time
	}
	return count
}
