package publisher

import (
	"context"
	"slices"
	"sync"

	"rosey.dev/rosey/runtime/bus"
)

// maxQueueBytes bounds the payloads in a queue. A channel's usual messages stay far below: it is for servers that send
// large ones.
const maxQueueBytes = 16 << 20

// queue is a bounded FIFO of messages. Each message has a number, counted from the start, so that those that were sent
// can be removed although a full queue has dropped its front meanwhile.
type queue struct {
	limit  int
	pushed chan struct{} // receives after a push

	mu       sync.Mutex
	messages []bus.Message
	bytes    int           // of the messages
	first    int           // the number of messages[0]
	removed  chan struct{} // closed and replaced when messages are removed
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, pushed: make(chan struct{}, 1), removed: make(chan struct{})}
}

// push appends a message. A queue that is full, in number or in bytes, drops its oldest messages, and push returns how
// many.
func (q *queue) push(m bus.Message) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := q.bytes + len(m.Data)
	for dropped < len(q.messages) && (len(q.messages)-dropped >= q.limit || bytes > maxQueueBytes) {
		bytes -= len(q.messages[dropped].Data)
		dropped++
	}
	if dropped > 0 {
		for _, oldest := range q.messages[:dropped] {
			endDropped(oldest, droppedFull)
		}
		q.remove(dropped)
	}
	q.messages = append(q.messages, m)
	q.bytes += len(m.Data)
	select {
	case q.pushed <- struct{}{}:
	default:
	}
	return dropped
}

// pushFront puts messages before all others, as far as there is room: the oldest are left out.
func (q *queue) pushFront(messages []bus.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := len(messages)
	for ; first > 0 && len(q.messages)+len(messages)-first < q.limit; first-- {
		bytes := q.bytes + len(messages[first-1].Data)
		if bytes > maxQueueBytes {
			break
		}
		q.bytes = bytes
	}
	q.messages = slices.Concat(messages[first:], q.messages)
	q.first -= len(messages) - first
}

// front returns up to n of the oldest messages, and the number of the first of them.
func (q *queue) front(n int) (messages []bus.Message, first int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.messages[:min(n, len(q.messages))]), q.first
}

// removeTo removes the messages with numbers below end.
func (q *queue) removeTo(end int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if end > q.first {
		q.remove(end - q.first)
	}
}

// remove requires the lock.
func (q *queue) remove(n int) {
	for _, m := range q.messages[:n] {
		q.bytes -= len(m.Data)
	}
	clear(q.messages[:n]) // the array may live long; what it points to must not
	q.messages = q.messages[n:]
	q.first += n
	close(q.removed)
	q.removed = make(chan struct{})
}

// each passes all messages to a function, which must not wait.
func (q *queue) each(do func(bus.Message)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		do(m)
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// flush waits until everything that was pushed before the call has been removed. If ctx ends before, it returns how
// many messages wait.
func (q *queue) flush(ctx context.Context) (left int, err error) {
	q.mu.Lock()
	end := q.first + len(q.messages)
	q.mu.Unlock()
	for {
		q.mu.Lock()
		done, left, removed := q.first >= end, len(q.messages), q.removed
		q.mu.Unlock()
		if done {
			return 0, nil
		}
		select {
		case <-removed:
		case <-ctx.Done():
			return left, ctx.Err()
		}
	}
}
