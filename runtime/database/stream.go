package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

const (
	// backlogInterval is how often the states of stream and consumer are read.
	backlogInterval = 10 * time.Second
)

// streamConsumer is the transport of events through a stream: it delivers them to the inbox and reports the backlog.
type streamConsumer struct {
	engine   *Engine
	conn     *bus.Conn
	subjects bus.Subjects
	binding  *bus.Binding
	inbox    *inbox
	inFlight *inFlight
	metrics  *serviceMetrics
	log      *slog.Logger
	interval time.Duration // backlogInterval, except in tests

	owner     *streamOwner
	caughtUp  time.Time              // when the stream was created whose events were read again
	behind    string                 // why it may not read events again that the database lacks; empty: none
	consuming *status.Recorder       // not OK while the stream's events may not be consumed, or not be read again
	lost      atomic.Uint64          // events that the stream removed before they were stored
	lostUntil atomic.Uint64          // the last sequence that lost includes
	waiting   atomic.Pointer[uint64] // events of the stream that are not stored; nil: unknown, or there is none
	// changed says that somebody has paused the consumer, or changed the stream so that it loses events; nil: nobody has.
	changed atomic.Pointer[bus.StreamError]
	request atomic.Pointer[consumerRequest] // the latest that had a consumer; nil: events do not come from a stream
}

// consume delivers the stream's events to the inbox until ctx ends, and those in transit until working ends. ready is
// called once they are delivered. An error means that the stream or the consumer failed.
func (c *streamConsumer) consume(
	ctx, working context.Context, bound bus.Bound, databaseID string, ready func() error,
) error {
	request := &consumerRequest{
		bound: bound, name: c.subjects.ConsumerName(), own: owner{databaseID, c.owner.provenance()},
		manual: c.binding.Manual(),
	}
	err := c.conn.Do(ctx, bus.RequestTimeout, c.subjects.StreamName(), func(ctx context.Context) error {
		return c.owner.request(ctx, request)
	})
	if err == nil {
		err = request.update(ctx, c.conn)
	}
	if err != nil {
		return err
	}
	durable := request.consumer
	c.note(request)
	defer func() { c.waiting.Store(nil); c.changed.Store(nil) }()
	// Before anything is delivered, because only what was not delivered can be lost.
	var state *jetstream.ConsumerInfo
	err = c.conn.Do(ctx, bus.RequestTimeout, c.subjects.StreamName(), func(ctx context.Context) (err error) {
		state, err = c.readBacklog(ctx, bound.Stream, durable)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.catchUp(ctx, working, bound.Stream, state.AckFloor.Stream); err != nil {
		return err
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	watching.Go(func() { end(c.watchBacklog(ctx, bound.Stream, durable, databaseID)) })
	c.engine.setBarrier((&barrier{stream: bound.Stream, consumer: durable, log: c.log}).storedUntil)
	if c.behind == "" {
		c.consuming.Set(true, status.ReasonStreamBound, "")
	} else if c.consuming.Set(false, status.ReasonNATSPermissionMissing, c.behind) {
		c.log.ErrorContext(ctx, "[NATS] "+c.behind)
	}
	c.binding.ReportSuccess()
	if err := ready(); err != nil {
		return err
	}
	err = c.pull(ctx, working, durable, bound.Stream.CachedInfo().Created)
	cause := context.Cause(ctx)
	if _, unusable := errors.AsType[*bus.StreamError](cause); unusable || errors.Is(cause, errOtherOwner) {
		err = cause // of watchBacklog
	}
	return err
}

// note records what the check says of a request.
func (c *streamConsumer) note(request *consumerRequest) {
	before := c.request.Swap(request)
	for _, refused := range request.refused {
		if before == nil || !slices.Contains(before.refused, refused) {
			c.log.Warn("[NATS] the stream's objects are used as they are: " + refused)
		}
	}
}

// withRequest adds to the check of a stream that works what is not as it should be with its consumer.
func (c *streamConsumer) withRequest(check status.Check) status.Check {
	request := c.request.Load()
	if request == nil {
		return check
	}
	if changed := c.changed.Load(); changed != nil {
		check.OK, check.Reason, check.Message = false, changed.Reason, changed.Message
		return check
	}
	if len(request.refused) > 0 {
		check.Reason = status.ReasonStreamRefused
		check.Message += "; the NATS server refuses changes: " + strings.Join(request.refused, "; ")
	}
	if !request.guarded {
		check.Message += fmt.Sprintf("; the guard against a second database is off: to turn it on, an administrator has to "+
			"write %s=%s into the metadata of the stream", ownerKey, request.own.database)
	}
	return check
}

// arrival returns a message of the stream that was created at a time.
func (c *streamConsumer) arrival(created time.Time, m *jetstream.RawStreamMsg) arrival {
	one := arrival{
		message: bus.Message{
			ID: m.Header.Get(bus.MsgIDHeader), Data: m.Data, Time: m.Time, Span: publishersSpan(m.Header),
		},
		size: sizeInMemory(m),
	}
	one.message.Suffix, _ = c.subjects.Suffix(m.Subject)
	if bus.EventID(one.message.ID, one.message.Suffix) == "" {
		one.message.StreamID = fmt.Sprintf("%s-%x-%016x", c.subjects.StreamName(), created.Unix(), m.Sequence)
	}
	return one
}

// sizeInMemory returns about how many bytes a message takes.
func sizeInMemory(m *jetstream.RawStreamMsg) int64 {
	size := messageOverhead + len(m.Data)
	for name, values := range m.Header {
		size += len(name)
		for _, value := range values {
			size += len(value)
		}
	}
	return int64(size)
}

// watchBacklog reads the states of stream and consumer at intervals until ctx ends, and records how far events are
// stored, unless the database lacks earlier ones. It ends with an error if another database has taken over the stream,
// or somebody has changed the consumer so that it cannot be used.
func (c *streamConsumer) watchBacklog(
	ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer, databaseID string,
) error {
	recorded := uint64(0)
	for backoff.Sleep(ctx, c.interval) {
		_, _ = c.binding.Bind(ctx) // limits that could not be changed are tried again; its check has the error
		state, err := c.readBacklog(ctx, stream, consumer)
		if err == nil && ownerOf(state.Config.Metadata).isOther(databaseID) {
			return fmt.Errorf("%w: the database %s has taken over the stream", errOtherOwner,
				state.Config.Metadata[ownerKey])
		}
		if err == nil {
			if err := checkConsumer(state); err != nil {
				return err
			}
		}
		if err == nil && state.AckFloor.Stream != recorded && c.behind == "" {
			err = c.record(ctx, stream.CachedInfo(), state.AckFloor.Stream)
		}
		switch {
		case err == nil:
			recorded = state.AckFloor.Stream
		case ctx.Err() == nil:
			c.log.DebugContext(ctx, "[NATS] cannot read the backlog", "error", err)
		}
	}
	return nil
}

// readBacklog updates the metrics of the backlog, and counts the events that the stream removed because of its limits
// before they were delivered.
func (c *streamConsumer) readBacklog(
	ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer,
) (*jetstream.ConsumerInfo, error) {
	// The consumer first: messages that are acknowledged between the two requests must not look lost.
	state, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of the consumer: %w", err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of the stream: %w", err)
	}
	c.metrics.pending.Set(float64(state.NumPending))
	c.metrics.unacknowledged.Set(float64(state.NumAckPending))
	c.waiting.Store(new(state.NumPending + uint64(max(state.NumAckPending, 0))))
	c.noteChange(ctx, state, info)
	// Delivered messages are in a service's memory, so they are not lost with the stream's copy.
	known := max(state.AckFloor.Stream, state.Delivered.Stream, c.lostUntil.Load())
	if first := info.State.FirstSeq; first > known+1 {
		lost := first - 1 - known
		c.lostUntil.Store(first - 1)
		c.lost.Add(lost)
		c.metrics.lost.Add(float64(lost))
		c.log.ErrorContext(ctx, "[NATS] the stream reached its limits and removed events before they were stored; "+
			"see nats.jetStream.maxBytes and maxAge", "events", lost, "first", first)
	}
	return state, nil
}

// noteChange records what somebody has done to the stream or its consumer while they are used.
func (c *streamConsumer) noteChange(ctx context.Context, state *jetstream.ConsumerInfo, info *jetstream.StreamInfo) {
	var changed *bus.StreamError
	switch {
	case state.Paused:
		changed = &bus.StreamError{Reason: status.ReasonStreamUnavailable, Message: fmt.Sprintf(
			"the consumer %s of the stream %s is paused, so events wait in the stream: somebody has to resume it, "+
				"for example with nats consumer resume", state.Name, state.Stream)}
	default:
		changed = c.binding.Changed(info.Config)
	}
	before := c.changed.Swap(changed)
	switch {
	case changed != nil && (before == nil || before.Message != changed.Message):
		c.log.ErrorContext(ctx, "[NATS] "+changed.Message)
	case changed == nil && before != nil:
		c.log.InfoContext(ctx, "[NATS] the stream and its consumer are as they should be again")
	}
}

// barrierTimeout bounds the requests of a barrier, because the worker waits for them.
const barrierTimeout = time.Second

// barrier records until when the stream's events are stored, for lines that a bot has claimed and whose reports may be
// among them. It reads the states of stream and consumer only when such a line is requested.
//
// In a busy channel there is always an event that is not stored yet. So a barrier that is not reached is remembered:
// later it is enough that the events are stored which were in the stream when the barrier was set.
type barrier struct {
	stream   jetstream.Stream
	consumer jetstream.Consumer
	log      *slog.Logger

	reached  time.Time // every event that was in the stream at this time is stored
	set      time.Time // of the barrier that is not reached; zero: none is set
	sequence uint64    // the last one that was in the stream when it was set
}

// storedUntil is the StoredUntil of a stream. Only the worker calls it.
func (b *barrier) storedUntil(ctx context.Context) time.Time {
	ctx, cancel := context.WithTimeout(ctx, barrierTimeout)
	defer cancel()
	if err := b.advance(ctx); err != nil {
		b.log.DebugContext(ctx, "[NATS] cannot read how far the stream's events are stored; claimed lines wait",
			"error", err)
	}
	return b.reached
}

func (b *barrier) advance(ctx context.Context) error {
	now := time.Now()
	info, err := b.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the state of the stream: %w", err)
	}
	state, err := b.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the state of the consumer: %w", err)
	}
	// The floor does not advance over events that the stream removed before they were delivered. So it is also enough that
	// nothing is left to deliver or to acknowledge.
	allStored := state.NumPending == 0 && state.NumAckPending == 0
	if allStored || state.AckFloor.Stream >= info.State.LastSeq {
		b.reached, b.set = now, time.Time{}
		return nil
	}
	if !b.set.IsZero() && state.AckFloor.Stream >= b.sequence {
		b.reached, b.set = b.set, time.Time{}
	}
	if b.set.IsZero() {
		b.set, b.sequence = now, info.State.LastSeq
	}
	return nil
}
