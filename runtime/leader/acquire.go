package leader

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
func (l *Elector) Acquire(ctx context.Context, saw func(Observation)) (*Leadership, error) {
	c := &candidate{Elector: l, saw: saw, released: make(chan struct{}, 1)}
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

// candidate is somebody who waits for the lock.
type candidate struct {
	*Elector
	saw func(Observation)
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
func (c *candidate) attempt(ctx context.Context) (*Leadership, time.Duration) {
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
		how = AcquiredRestart
	case holder.UID != "":
		return nil, c.waitFor(holder, revision)
	case !released && time.Now().Before(c.settled):
		c.saw(Observation{})
		return nil, min(c.interval(), time.Until(c.settled))
	}
	next, sent, err := c.take(ctx, revision)
	switch {
	case err == nil:
		return newLeadership(ctx, c.Elector, next, sent, how), 0
	case errors.Is(err, errTaken):
		return nil, fastPoll // somebody was faster, and the next look says who
	}
	c.fail(ctx, err)
	return nil, c.interval()
}

func (c *candidate) takeover(released bool) AcquireReason {
	switch {
	case released:
		return AcquiredReleased
	case c.holder != "":
		return AcquiredExpired
	}
	return AcquiredFree
}

// fail notes that nothing can be seen.
func (c *candidate) fail(ctx context.Context, err error) {
	c.blind = true
	if ctx.Err() == nil {
		c.saw(Observation{Err: err})
	}
}

// waitFor answers when to look again: often only when the holder's time is up.
func (c *candidate) waitFor(holder Holder, revision uint64) time.Duration {
	if revision != c.revision {
		c.revision = revision
		c.renewed.Store(time.Now().UnixNano())
	}
	c.holder = holder.Pod
	c.saw(Observation{Holder: holder.Pod})
	expires := time.Until(time.Unix(0, c.renewed.Load()).Add(c.ttl))
	switch {
	case time.Since(time.Unix(0, c.given.Load())) < storing:
		return fastPoll // it is heard before it is stored
	case expires < -c.ttl:
		return c.interval() // the server does not expire it, so hurrying is of no use
	case expires <= 0:
		return fastPoll
	}
	return min(c.interval(), expires)
}

// fastPoll is the time between two looks when the lock may be free any moment, and storing how long that is
// after it was given back.
const (
	fastPoll = 100 * time.Millisecond
	storing  = 2 * time.Second
)

// listen hears what is written to the lock, so that a lock given back is taken at once. What it hears may
// have been refused by JetStream: it only tells when to look.
func (c *candidate) listen() {
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

func (c *candidate) unlisten() {
	if c.subscription != nil {
		_ = c.subscription.Unsubscribe() // of a connection that is closed there is nothing to end
	}
}
