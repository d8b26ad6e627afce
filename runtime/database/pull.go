package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// pullSlack is for what comes into the buffer of nats.go beside the messages that were requested: heartbeats and ends
	// of requests, and what is requested anew after a reconnect. nats.go drops what does not fit, and the stream delivers
	// it again only after ackWait.
	pullSlack = 2 * maxBatch
	// pullBytes bounds the messages of one pull request in bytes, so that an earlier stream with large messages does not
	// fill the memory. A message that is larger would never be delivered: see pullLimit.
	pullBytes = 4 << 20
	// pullExpiry is how long a pull request waits. A stream that sends nothing in that time, not even a heartbeat, has
	// failed.
	pullExpiry = 10 * time.Second
	// maxSubject is more than a message has beside its content: its subject and its reply subject.
	maxSubject = 8 << 10
)

// pull delivers events from the stream into the inbox until ctx ends, and those in transit until working ends. It
// requests only as many as there is room for: while the store is unavailable, nothing is requested, and nothing waits
// in nats.go, whose buffer overflows after a reconnect. The time of the stream's creation distinguishes it from an
// earlier stream of the same name, which had its own sequences.
func (c *streamConsumer) pull(
	ctx, working context.Context, consumer jetstream.Consumer, created time.Time,
) error {
	for {
		room := c.inFlight.awaitRoom(ctx)
		if room == 0 {
			return nil // ctx has ended
		}
		messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(room+pullSlack, c.pullLimit()),
			jetstream.PullExpiry(pullExpiry), jetstream.StopAfter(room))
		if err != nil {
			return fmt.Errorf("pulling events from the stream: %w", err)
		}
		err = c.deliver(ctx, working, messages, created)
		if err == nil && ctx.Err() == nil {
			continue // as many as there was room for
		}
		// Messages in transit are taken too. The stream delivers the rest to others once ackWait has passed.
		messages.Drain()
		draining, done := context.WithTimeout(working, bus.RequestTimeout)
		defer done()
		return errors.Join(err, c.deliver(draining, working, messages, created))
	}
}

// pullLimit returns pullBytes, or more if the server accepts larger messages.
func (c *streamConsumer) pullLimit() int {
	return max(pullBytes, int(c.conn.NATS().MaxPayload())+maxSubject)
}

// deliver puts messages into the inbox until ctx ends or there are no more.
func (c *streamConsumer) deliver(
	ctx, working context.Context, messages jetstream.MessagesContext, created time.Time,
) error {
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil && m == nil, errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			return fmt.Errorf("pulling events from the stream: %w", err)
		}
		place, err := m.Metadata()
		if err != nil || place.Stream != c.subjects.StreamName() || place.Consumer != c.subjects.ConsumerName() {
			// Somebody has published to the inbox. An acknowledgement would go to where they want it.
			c.log.DebugContext(ctx, "[NATS] ignored a message that did not come from the stream")
			continue
		}
		one := c.arrival(created, &jetstream.RawStreamMsg{
			Subject: m.Subject(), Header: m.Headers(), Data: m.Data(), Time: place.Timestamp,
			Sequence: place.Sequence.Stream,
		})
		one.inFlight = m
		if !c.inFlight.add(working, &one) {
			_ = m.Nak() // if that fails, the stream delivers it again once ackWait has passed
			continue
		}
		c.inbox.put(working, one)
	}
}
