package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Acquire waits until the lock is ours. saw is told at every look what is seen of it. The error says that
// ctx ended.
func (l *Lock) Acquire(ctx context.Context, saw func(Sight)) (*Term, error) {
	c := &contender{Lock: l, saw: saw, released: make(chan struct{}, 1)}
	defer c.unlisten()
	for {
		term, wait := c.attempt(ctx)
		if term != nil {
			return term, nil
		}
		// Spread, so that those who wait do not come at once.
		timer := time.NewTimer(wait + rand.N(wait/8+1)) //nolint:gosec // guards nothing
		select {
		case <-timer.C:
		case <-c.released:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("waiting for the lock: %w", context.Cause(ctx))
		}
		timer.Stop()
	}
}

// contender is somebody who waits for the lock.
type contender struct {
	*Lock
	saw func(Sight)
	// released gets a token when somebody seems to have given the lock back.
	released     chan struct{}
	subscription *nats.Subscription
	// renewed is when the lock was last seen to be written, and given when it seemed to be given back, in
	// Unix nanoseconds.
	renewed, given atomic.Int64

	holder   string
	revision uint64
	// blind: the last look failed. Then an absent lock counts as free only from settled on: after a restart
	// of NATS the holder, who is still in the channel, must have the time to renew it.
	blind   bool
	settled time.Time
}

// attempt looks and takes the lock if it is free. Without a term it answers how long to wait.
func (c *contender) attempt(ctx context.Context) (*Term, time.Duration) {
	c.listen()
	holder, revision, released, err := c.look(ctx)
	if err != nil {
		c.fail(ctx, err)
		return nil, c.interval()
	}
	if c.blind {
		c.blind, c.settled = false, time.Now().Add(c.ttl)
	}
	how := c.takeover(released)
	switch {
	case holder.Process == c.self.Process: // taken already, and the answer was lost
	case holder.UID == c.self.UID:
		how = TakenRestart
	case holder.UID != "":
		return nil, c.waitFor(holder, revision)
	case !released && time.Now().Before(c.settled):
		c.saw(Sight{})
		return nil, min(c.interval(), time.Until(c.settled))
	}
	next, sent, err := c.take(ctx, revision)
	switch {
	case err == nil:
		return newTerm(ctx, c.Lock, next, sent, how), 0
	case errors.Is(err, errTaken):
		return nil, hurry // somebody was faster, and the next look says who
	}
	c.fail(ctx, err)
	return nil, c.interval()
}

func (c *contender) takeover(released bool) Takeover {
	switch {
	case released:
		return TakenReleased
	case c.holder != "":
		return TakenExpired
	}
	return TakenFree
}

// fail notes that nothing can be seen.
func (c *contender) fail(ctx context.Context, err error) {
	c.blind = true
	if ctx.Err() == nil {
		c.saw(Sight{Err: err})
	}
}

// waitFor answers when to look again: often only when the holder's time is up.
func (c *contender) waitFor(holder Holder, revision uint64) time.Duration {
	if revision != c.revision {
		c.revision = revision
		c.renewed.Store(time.Now().UnixNano())
	}
	c.holder = holder.Pod
	c.saw(Sight{Holder: holder.Pod})
	expires := time.Until(time.Unix(0, c.renewed.Load()).Add(c.ttl))
	switch {
	case time.Since(time.Unix(0, c.given.Load())) < storing:
		return hurry // it is heard before it is stored
	case expires < -c.ttl:
		return c.interval() // the server does not expire it, so hurrying is of no use
	case expires <= 0:
		return hurry
	}
	return min(c.interval(), expires)
}

// hurry is the time between two looks when the lock may be free any moment, and storing how long that is
// after it was given back.
const (
	hurry   = 100 * time.Millisecond
	storing = 2 * time.Second
)

// listen hears what is written to the lock, so that a lock given back is taken at once. What it hears may
// have been refused by JetStream: it only tells when to look.
func (c *contender) listen() {
	if c.subscription != nil {
		return
	}
	subscription, err := c.bucket.conn.NATS().Subscribe(c.bucket.subject(), func(m *nats.Msg) {
		c.renewed.Store(time.Now().UnixNano())
		if !isDeletion(m.Header) {
			return
		}
		c.given.Store(time.Now().UnixNano())
		select {
		case c.released <- struct{}{}:
		default:
		}
	})
	if err == nil {
		c.subscription = subscription
	}
}

func (c *contender) unlisten() {
	if c.subscription != nil {
		_ = c.subscription.Unsubscribe() // of a connection that is closed there is nothing to end
	}
}
