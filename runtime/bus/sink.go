package bus

import "context"

// Message is a message as it waits to be published or stored.
type Message struct {
	Suffix Suffix
	// ID is the value of MsgIDHeader.
	ID string
	// Data is the payload in JSON.
	Data []byte
}

// Sink is a database that a bot has open itself.
type Sink interface {
	// Store stores messages in their order and returns when all are stored. With an error they are to be
	// given again, which stores none of them twice.
	Store(ctx context.Context, messages []Message) error
}

// drain has a sink store the oldest of what waits, and lets go of it when it is stored. It answers what
// that was.
func (q *queue) drain(ctx context.Context, sink Sink) ([]Message, error) {
	batch, end := q.front(maxBatch)
	if len(batch) == 0 {
		return nil, nil
	}
	messages := make([]Message, 0, len(batch))
	for _, m := range batch {
		messages = append(messages, Message{Suffix: m.suffix, ID: m.id, Data: m.data})
	}
	if err := sink.Store(ctx, messages); err != nil {
		return nil, err
	}
	q.removeTo(end)
	return messages, nil
}
