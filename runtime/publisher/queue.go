package publisher

import (
	"context"
	"sync"

	"rosey.dev/rosey/runtime/bus"
)

// queue holds messages in order, up to a limit. Every message has a number, its place since the
// start, so that those that were sent can be removed although a full queue lost its front meanwhile.
type queue struct {
	limit int
	// pushed gets a token when something was pushed.
	pushed chan struct{}

	mu       sync.Mutex
	messages []bus.Message
	first    int // the number of messages[0]
	// removed is closed and made anew when messages leave.
	removed chan struct{}
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, pushed: make(chan struct{}, 1), removed: make(chan struct{})}
}

// push adds a message. A full queue loses its oldest, and then push answers false: when the service
// comes back, what is true now matters more than what was true when it went away.
func (q *queue) push(m bus.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := len(q.messages) >= q.limit
	if full {
		q.cut(1)
	}
	q.messages = append(q.messages, m)
	select {
	case q.pushed <- struct{}{}:
	default:
	}
	return !full
}

// front returns up to n of the oldest messages and the number that follows the last of them.
func (q *queue) front(n int) (messages []bus.Message, end int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.messages))
	return append([]bus.Message(nil), q.messages[:n]...), q.first + n
}

// removeTo removes the messages with numbers below end.
func (q *queue) removeTo(end int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if end > q.first {
		q.cut(end - q.first)
	}
}

// cut needs the lock.
func (q *queue) cut(n int) {
	clear(q.messages[:n]) // the array may live long; what it points to must not
	q.messages = q.messages[n:]
	q.first += n
	close(q.removed)
	q.removed = make(chan struct{})
}

// state returns the number that the next message will get, how many wait, and a channel that is
// closed when that changes because messages leave.
func (q *queue) state() (end, waiting int, removed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first + len(q.messages), len(q.messages), q.removed
}

// flush waits until everything that was pushed before the call has left. When ctx ended before, it
// answers how many messages wait.
func (q *queue) flush(ctx context.Context) (left int, err error) {
	target, _, _ := q.state()
	for {
		end, waiting, removed := q.state()
		if end-waiting >= target {
			return 0, nil
		}
		select {
		case <-removed:
		case <-ctx.Done():
			return waiting, ctx.Err()
		}
	}
}

func (q *queue) len() int {
	_, waiting, _ := q.state()
	return waiting
}
