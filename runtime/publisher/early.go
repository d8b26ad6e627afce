package publisher

import (
	"context"
	"errors"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// earlyEvents are events that went to the stream before a database service has answered for the first time. A service
// without IDs reads no stream: if it is the first to answer, it gets them by core NATS after all. Only Run uses it.
//
// A service of ours creates a consumer before it answers. So nothing is remembered for a stream with consumers.
type earlyEvents struct {
	service *service
	queue   *queue // of the publisher, which gets them back

	over     bool // a service has answered, or the stream has a consumer
	messages *queue
}

func newEarlyEvents(s *service, q *queue) *earlyEvents {
	return &earlyEvents{service: s, queue: q, messages: newQueue(q.limit)}
}

// allowStream reports whether events may go to the stream now. Until a service has answered, it asks for one: what it
// would receive from the publication to the stream must not be published to it again.
func (e *earlyEvents) allowStream(ctx context.Context, bound bus.Bound) bool {
	switch {
	case e.over:
		return true
	case e.service.answered.Load():
	case bound.Stream.CachedInfo().State.Consumers > 0:
		e.end()
		return true
	default:
		if err := e.service.find(ctx); err != nil {
			return !errors.Is(err, bus.ErrNoReply) // one that hangs may be one without IDs, and has subscribed
		}
	}
	messages := e.end()
	if e.service.deduplicates() {
		return true
	}
	for i := range messages {
		// It has subscribed to the lines before it could answer, so it may have the last of them.
		messages[i].Replayed = messages[i].Suffix == bus.MessageLog
		messages[i].Published = time.Time{}
	}
	e.queue.pushFront(messages)
	return false
}

// end returns what is remembered. Nothing is remembered any more.
func (e *earlyEvents) end() []bus.Message {
	messages, _ := e.messages.front(e.messages.len())
	e.over, e.messages = true, newQueue(0)
	return messages
}

// remember notes what the stream has acknowledged. The oldest are forgotten when there are as many as may wait in the
// queue.
func (e *earlyEvents) remember(messages []bus.Message) {
	if e.over {
		return
	}
	for _, m := range messages {
		e.messages.push(m)
	}
}
