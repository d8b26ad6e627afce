package plugintest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Epoch is the time of a Room when it is opened: noon of a Monday, in UTC.
var Epoch = time.Date(2030, time.July, 1, 12, 0, 0, 0, time.UTC)

// clock is a plugin.Clock that stands still until it is advanced.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*timer
	added  chan struct{} // receives when a timer was added
}

type timer struct {
	due      time.Time
	interval time.Duration
	fire     chan chan struct{} // the timer's own goroutine closes what it receives when it is done
	done     <-chan struct{}
}

func newClock() *clock { return &clock{now: Epoch, added: make(chan struct{}, 1)} }

// Now implements plugin.Clock.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Every implements plugin.Clock.
func (c *clock) Every(ctx context.Context, interval time.Duration, do func()) {
	own := &timer{interval: interval, fire: make(chan chan struct{}), done: ctx.Done()}
	c.mu.Lock()
	own.due = c.now.Add(interval)
	c.timers = append(c.timers, own)
	c.mu.Unlock()
	select {
	case c.added <- struct{}{}:
	default:
	}
	for {
		select {
		case <-ctx.Done():
			return
		case fired := <-own.fire:
			do()
			close(fired)
		}
	}
}

// wait waits until there are as many timers, and reports whether that was in time.
func (c *clock) wait(count int, limit time.Duration) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for c.count() < count {
		select {
		case <-c.added:
		case <-timeout.C:
			return false
		}
	}
	return true
}

func (c *clock) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// advance turns the clock. What is due on the way is done at its time, one after the other, before it returns.
func (c *clock) advance(d time.Duration) {
	end := c.Now().Add(d)
	for {
		next := c.next(end)
		if next == nil {
			return
		}
		fired := make(chan struct{})
		select {
		case next.fire <- fired:
			<-fired
		case <-next.done:
		}
	}
}

// next turns the clock to the time of the next timer, and returns it. It turns it to end and returns nil if none is due
// before.
func (c *clock) next(end time.Time) *timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		c.now = end
		return nil
	}
	next := slices.MinFunc(c.timers, func(a, b *timer) int { return a.due.Compare(b.due) })
	if next.due.After(end) {
		c.now = end
		return nil
	}
	c.now = next.due
	next.due = next.due.Add(next.interval)
	return next
}
