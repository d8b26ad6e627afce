package publisher

import (
	"context"

	"rosey.dev/rosey/runtime/bus"
)

// Storer is a database that the process has open itself.
type Storer interface {
	// Store stores messages in their order and returns when all are stored. After an error the same messages
	// are passed again, and none of them may be stored twice.
	Store(ctx context.Context, messages []bus.Message) error
}

// drain stores the oldest waiting messages, removes them from the queue and returns them.
func (q *queue) drain(ctx context.Context, storer Storer) ([]bus.Message, error) {
	batch, end := q.front(maxBatch)
	if len(batch) == 0 {
		return nil, nil
	}
	if err := storer.Store(ctx, batch); err != nil {
		return nil, err
	}
	q.removeTo(end)
	return batch, nil
}
