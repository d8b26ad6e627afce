package database

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// pullAhead is how many messages are asked for before they are needed, so that a backlog is never waited for.
	pullAhead = 2 * maxBatch
	// pullExpiry is how long a pull waits. A stream that says nothing for that long does not work.
	pullExpiry = 10 * time.Second
	// backAfter is when a message that could not be looked at comes again.
	backAfter = time.Second
)

// consumer takes events from the stream into the inbox.
type consumer struct {
	*Service

	created string // when the stream was, which tells it from an earlier one of its name
	twins   *twins
}

// consume takes events from the stream until ctx ends, and what is on its way then until working ends. ready is
// called when events come. An error says that the stream or the consumer does not do what it should.
func (s *Service) consume(ctx, working context.Context, bound bus.Bound, identity string, ready func() error) error {
	asking, cancel := context.WithTimeout(ctx, bus.RequestTimeout)
	defer cancel()
	durable, err := ownedConsumer(asking, bound, s.subjects.ConsumerName(), identity)
	if err != nil {
		return err
	}
	// Before anything is taken: what was lost is what is gone and was given to nobody.
	if err := s.noteBacklog(asking, bound, durable); err != nil {
		return err
	}
	messages, err := durable.Messages(jetstream.PullMaxMessages(pullAhead), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return fmt.Errorf("taking events from the stream: %w", err)
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watched, stop := context.WithCancel(ctx)
	defer stop()
	watching.Go(func() { s.watchBacklog(watched, bound, durable) })
	s.setEvents(nil)
	s.binding.ReportSuccess()
	if err := ready(); err != nil {
		messages.Stop()
		return err
	}
	info := bound.Stream.CachedInfo()
	c := consumer{
		Service: s, created: fmt.Sprintf("%x", info.Created.Unix()),
		twins: &twins{subjects: s.subjects, stream: bound.Stream, repeats: newRepeats()},
	}
	err = c.takeAll(ctx, working, messages)
	// What is on its way is taken too. What does not come any more, the stream gives to others in time.
	messages.Drain()
	draining, done := context.WithTimeout(working, bus.RequestTimeout)
	defer done()
	return errors.Join(err, c.takeAll(draining, working, messages))
}

// takeAll takes messages until waiting ends or there are no more.
func (c *consumer) takeAll(waiting, working context.Context, messages jetstream.MessagesContext) error {
	for {
		m, err := messages.Next(jetstream.NextContext(waiting))
		switch {
		case waiting.Err() != nil && m == nil, errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			return fmt.Errorf("taking events from the stream: %w", err)
		}
		if err := c.take(working, m); err != nil {
			c.log.Warn("[NATS] an event waits", "error", err)
			_ = m.NakWithDelay(backAfter) // only a broken connection fails, and then it comes again too
		}
	}
}

// take puts a message into the inbox, when there is room.
func (c *consumer) take(ctx context.Context, m jetstream.Msg) error {
	place, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a message's place in the stream: %w", err)
	}
	sequence := place.Sequence.Stream
	entry := &kept{message: m, id: fmt.Sprintf("%s-%s-%016x", place.Stream, c.created, sequence)}
	one := arrival{
		Msg:  &nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, // its reply is the stream's
		at:   place.Timestamp,
		kept: entry,
	}
	suffix, _ := c.subjects.Suffix(m.Subject())
	if one.eventID(suffix) != "" {
		c.twins.passed(sequence)
	} else if entry.repeats, err = c.twins.repeated(ctx, sequence, suffix, m.Data(), place.Timestamp); err != nil {
		return err
	}
	if !c.held.take(ctx, entry) {
		return fmt.Errorf("waiting for room: %w", context.Cause(ctx))
	}
	c.inbox.put(ctx, one)
	return nil
}
