package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// record records in the database how far the stream's events are stored.
func (c *streamConsumer) record(ctx context.Context, stream *jetstream.StreamInfo, sequence uint64) error {
	return c.engine.store.AdvanceStream(ctx, store.StreamPosition{
		Stream: stream.Config.Name, Created: stream.Created, Sequence: sequence,
	})
}

// catchUp stores the events that the consumer has seen acknowledged and the database does not have, because it was
// restored from a backup, or takes over the stream with all of its events. The database has recorded how far it was.
// After a kill that is a few seconds behind; an event that is stored already changes nothing. It is done once: the
// consumer and this process agree from then on.
//
// Without the permission to read single events the service works on, and the database stays where it was: the events
// are read again on a connection that has the permission.
func (c *streamConsumer) catchUp(ctx, working context.Context, stream jetstream.Stream, floor uint64) error {
	info := stream.CachedInfo()
	if c.caughtUp.Equal(info.Created) {
		return nil
	}
	var position store.StreamPosition
	var known bool
	err := c.engine.retry(ctx, func() (err error) {
		position, known, err = c.engine.store.StreamPosition(ctx, info.Config.Name)
		return err
	})
	if err != nil {
		return err
	}
	if known && position.Created.UnixMilli() == info.Created.UnixMilli() && position.Sequence < floor {
		err = c.readAgain(ctx, working, stream, position.Sequence+1, floor)
		if denied, ok := errors.AsType[*bus.DeniedError](err); ok {
			c.behind = fmt.Sprintf("the database may lack events of the stream, from sequence %d to %d, and cannot read them "+
				"again: %s; others are stored, and these as soon as the account may", position.Sequence+1, floor, denied)
			return nil
		}
	}
	if err == nil {
		err = c.engine.retry(ctx, func() error { return c.record(ctx, info, floor) })
	}
	if err == nil {
		c.caughtUp = info.Created
		c.behind = ""
	}
	return err
}

// readAgain stores the events from first to last that the stream still has.
func (c *streamConsumer) readAgain(ctx, working context.Context, stream jetstream.Stream, first, last uint64) error {
	kept := stream.CachedInfo().State.FirstSeq
	next := max(first, kept)
	c.log.InfoContext(ctx, "[NATS] the database is behind the stream: its events are read again",
		"first", first, "last", last, "kept", kept)
	stored := make(chan struct{}, maxBatch)
	for next <= last {
		events, end, err := c.readBatch(ctx, stream, next, last)
		if err != nil {
			return err
		}
		next = end
		for _, one := range events {
			one.stored = func() { stored <- struct{}{} }
			c.inbox.put(working, one)
		}
		for range events {
			select {
			case <-stored:
			case <-ctx.Done():
				return fmt.Errorf("storing events of the stream again: %w", ctx.Err())
			}
		}
	}
	return nil
}

// readBatch reads events from first to last, not more than the worker stores at once: those of the whole stream could
// fill the memory. next is the sequence behind them.
func (c *streamConsumer) readBatch(
	ctx context.Context, stream jetstream.Stream, first, last uint64,
) (events []arrival, next uint64, err error) {
	size := int64(0)
	for next = first; next <= last && len(events) < maxBatch && size < maxBatchBytes; next++ {
		m, err := c.readOne(ctx, stream, next)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // removed
		}
		if err != nil {
			return nil, first, err
		}
		one := c.arrival(stream.CachedInfo().Created, m)
		size += one.size
		events = append(events, one)
	}
	return events, next, nil
}

// readOne returns one event of the stream. The error wraps jetstream.ErrMsgNotFound if it was removed.
func (c *streamConsumer) readOne(
	ctx context.Context, stream jetstream.Stream, sequence uint64,
) (*jetstream.RawStreamMsg, error) {
	var m *jetstream.RawStreamMsg
	err := c.conn.Do(ctx, bus.RequestTimeout, c.subjects.StreamName(), func(ctx context.Context) (err error) {
		m, err = stream.GetMsg(ctx, sequence)
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("reading event %d of the stream again: %w", sequence, err)
	}
	return m, nil
}
