package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// Prefixes of log lines that tell how a message went. Users of Rosey-Robot know them.
const (
	viaNATS  = "[NATS] "
	viaStore = "[DB] "
)

const (
	// maxBatch is the number of messages that wait for acknowledgements of the stream at the same time.
	maxBatch = bus.MaxUnacknowledged
	// unconfirmedBatch bounds what is sent again when a batch as a whole could not be confirmed.
	unconfirmedBatch = 256
)

// What limits the size of a message, for the log.
const (
	limitOfServer = "max_payload of the NATS server"
	limitOfStream = "nats.jetStream.maxMessageBytes, the stream's max_msg_size"
)

// errServiceChanged is returned when another kind of service has answered than the one that the batch was meant for.
var errServiceChanged = errors.New("another database service answers")

// natsRoute is what the two routes over NATS share.
type natsRoute struct {
	subjects bus.Subjects
	log      *slog.Logger
	metrics  metrics
}

func (r *natsRoute) message(m bus.Message) *nats.Msg {
	header := nats.Header{bus.MsgIDHeader: {m.ID}}
	if m.Span != nil {
		telemetry.Inject(m.Span.SpanContext(), header)
	}
	return &nats.Msg{Subject: r.subjects.Subject(m.Suffix), Header: header, Data: m.Data}
}

// published records delivered messages.
func (r *natsRoute) published(ctx context.Context, messages ...bus.Message) {
	for _, m := range messages {
		endSend(m)
		r.metrics.published.WithLabelValues(string(m.Suffix)).Inc()
		r.metrics.observe(m)
		r.log.DebugContext(telemetry.ContextWith(ctx, m.Span), viaNATS+"published "+string(m.Suffix), "id", m.ID)
	}
}

// dropTooLarge records that a message is dropped because it is larger than limit, a setting of the server or the
// stream: it would never be taken, and would block the messages behind it.
func (r *natsRoute) dropTooLarge(ctx context.Context, m bus.Message, limit string) {
	endDropped(m, droppedTooLarge)
	r.metrics.dropped.WithLabelValues(droppedTooLarge).Inc()
	r.log.ErrorContext(telemetry.ContextWith(ctx, m.Span),
		viaNATS+"dropped a message that is too large", "subject", m.Suffix,
		"bytes", len(m.Data), "limit", limit)
}

// streamRoute publishes to the stream.
type streamRoute struct {
	natsRoute

	binding *bus.Binding
	service *service
	early   *earlyEvents
	// refusedLogged is set once the log has said that a message was dropped by dropRefused.
	refusedLogged atomic.Bool
}

// ready is false while the service refuses the channel: it would drop what the stream has.
func (r *streamRoute) ready(_ context.Context, to destination) bool {
	return to.durable && !r.service.refuses()
}

// send publishes the whole batch before it waits for the acknowledgements. After the first message that is not
// acknowledged, the rest is published again too: the stream ignores what it already has, and the order stays.
func (r *streamRoute) send(ctx context.Context, to destination, batch []bus.Message) (done int, err error) {
	futures, err := r.publish(ctx, to.bound, batch)
	for i, future := range futures {
		if failed := r.waitForAck(ctx, to.bound, batch[i], future); failed != nil {
			err = failed
			break
		}
		done++
	}
	r.early.remember(batch[:done])
	switch {
	case err == nil:
		r.binding.ReportSuccess()
	case ctx.Err() == nil:
		r.binding.ReportFailure(err)
	}
	return done, err
}

// publish returns the futures of the acknowledgements in the order of the batch, up to the first message that could
// not be published. The future of a message that is too large is nil.
func (r *streamRoute) publish(
	ctx context.Context, bound bus.Bound, batch []bus.Message,
) (futures []jetstream.PubAckFuture, err error) {
	for _, m := range batch {
		if r.cannotTake(bound, m) {
			r.dropRefused(ctx, m)
			futures = append(futures, nil)
			continue
		}
		future, err := bound.JetStream.PublishMsgAsync(r.message(m))
		if err != nil && !errors.Is(err, nats.ErrMaxPayload) {
			return futures, fmt.Errorf("publishing to the stream: %w", err)
		}
		if err != nil {
			r.dropTooLarge(ctx, m, limitOfServer)
			future = nil
		}
		futures = append(futures, future)
	}
	return futures, nil
}

// cannotTake reports whether a message of a subject that earlier versions did not have would never be taken: a stream
// or permissions that an administrator has made for one of them lack it, and the message would block all behind it.
func (r *streamRoute) cannotTake(bound bus.Bound, m bus.Message) bool {
	if !slices.Contains(bus.LaterEvents, m.Suffix) {
		return false
	}
	subject := r.subjects.Subject(m.Suffix)
	return r.service.conn.Denied(subject) || !slices.Contains(bound.Stream.CachedInfo().Config.Subjects, subject)
}

// dropRefused records that a message is dropped because the stream or the user's permissions lack its subject.
func (r *streamRoute) dropRefused(ctx context.Context, m bus.Message) {
	endDropped(m, droppedRefused)
	r.metrics.dropped.WithLabelValues(droppedRefused).Inc()
	if r.refusedLogged.Swap(true) {
		return
	}
	r.log.ErrorContext(telemetry.ContextWith(ctx, m.Span), viaNATS+"dropped a message: the stream or the permissions of "+
		"the NATS user are those of an earlier version; run rosey nats create and rosey nats issue again",
		"subject", m.Suffix)
}

func (r *streamRoute) waitForAck(
	ctx context.Context, bound bus.Bound, m bus.Message, future jetstream.PubAckFuture,
) error {
	if future == nil {
		return nil
	}
	select {
	case ack := <-future.Ok():
		if want := bound.Stream.CachedInfo().Config.Name; ack.Stream != want {
			return fmt.Errorf("the stream %s took a message that belongs into %s", ack.Stream, want)
		}
		r.published(ctx, m)
		return nil
	case err := <-future.Err():
		if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
			r.dropTooLarge(ctx, m, limitOfStream)
			return nil
		}
		return fmt.Errorf("publishing to the stream: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("publishing to the stream: %w", context.Cause(ctx))
	}
}

// coreRoute publishes by core NATS, while a database service answers.
type coreRoute struct {
	natsRoute

	conn     *bus.Conn
	service  *service
	replayed *replayedLines
}

func (r *coreRoute) ready(ctx context.Context, to destination) bool {
	return to.err == nil && !to.durable && r.service.present(ctx)
}

func (r *coreRoute) send(ctx context.Context, _ destination, batch []bus.Message) (done int, err error) {
	batch = batch[:min(len(batch), unconfirmedBatch)]
	if r.service.deduplicates() {
		return r.sendConfirmed(ctx, batch)
	}
	return r.sendOnce(ctx, batch)
}

// sendConfirmed publishes a batch and then asks the service on the same connection. Our service replies only after
// it has stored what came before, so its reply confirms the batch. Without a reply the whole batch is published again.
func (r *coreRoute) sendConfirmed(ctx context.Context, batch []bus.Message) (done int, err error) {
	generation := r.conn.Generation()
	sent, done, err := r.publish(ctx, batch)
	if err != nil {
		return 0, err
	}
	if err := r.service.find(ctx); err != nil {
		return 0, err
	}
	if r.conn.Generation() != generation {
		return 0, bus.ErrNotConnected // the connection broke in between
	}
	r.published(ctx, sent...)
	return done, nil
}

// sendOnce publishes a batch to a service that would store again what is published again. So the service is asked
// before, and what the connection has taken is never published again, whatever becomes of it.
func (r *coreRoute) sendOnce(ctx context.Context, batch []bus.Message) (done int, err error) {
	if err := r.service.find(ctx); err != nil {
		return 0, err
	}
	if r.service.deduplicates() {
		return 0, errServiceChanged
	}
	missing, err := r.replayed.withoutStored(ctx, batch)
	if err != nil {
		return 0, err
	}
	sent, done, err := r.publish(ctx, missing)
	r.replayed.remember(sent...)
	r.published(ctx, sent...)
	if err != nil {
		return slices.IndexFunc(batch, func(m bus.Message) bool { return m.ID == missing[done].ID }), err
	}
	return len(batch), nil
}

// publish passes messages to the connection up to the first that it does not take. done counts those that it has taken
// and those that are too large.
func (r *coreRoute) publish(
	ctx context.Context, batch []bus.Message,
) (sent []bus.Message, done int, err error) {
	for _, m := range batch {
		err := r.conn.NATS().PublishMsg(r.message(m))
		switch {
		case err == nil:
			sent = append(sent, m)
		case errors.Is(err, nats.ErrMaxPayload):
			r.dropTooLarge(ctx, m, limitOfServer)
		default:
			r.service.reportAbsent(bus.ErrNotConnected)
			return sent, done, fmt.Errorf("publishing: %w", err)
		}
		done++
	}
	return sent, done, nil
}
