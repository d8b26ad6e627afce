package fuzz

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

const (
	// streamVolume bounds the bytes that one operation publishes to the stream. The stream keeps more, so that what it
	// removes because of its limits is never an honest event that waits among those of one operation.
	streamVolume = 40 << 20
	// volume bounds the other bytes of one operation. It is more than the memory of any process.
	volume = 320 << 20
	// backlogLimit is how many events may wait before the next operation, and catchUp how long it waits for that.
	backlogLimit = 200
	catchUp      = 2 * time.Minute
)

// hostile is a NATS user with every permission on a RoseyBot's prefix, and none outside of it.
type hostile struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	subjects bus.Subjects
	most     int // the largest payload that the server takes
	random   *rand.Rand
	sent     int // messages
	// streamed and other are the bytes of the running operation, to the stream and elsewhere.
	streamed, other int
}

func newHostile(url string, subjects bus.Subjects) (*hostile, error) {
	conn, err := nats.Connect(url, nats.Name("hostile"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // its own slowness is no concern
	if err != nil {
		return nil, fmt.Errorf("connecting the hostile client to NATS: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("preparing the hostile client for JetStream: %w", err)
	}
	return &hostile{conn: conn, js: js, subjects: subjects, most: int(conn.MaxPayload())}, nil
}

// play runs an operation, and returns when the server has everything.
func (h *hostile) play(ctx context.Context, o Operation) error {
	h.random, h.streamed, h.other = o.random, 0, 0
	operations[o.Kind](ctx, h)
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	if err := h.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("flushing what the hostile client has sent: %w", err)
	}
	return nil
}

// caughtUp waits until the service has stored nearly all events of the stream. A client that publishes faster than a
// database stores makes the stream reach its limits, and honest events are then removed with the others.
func (h *hostile) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		consumer, err := h.js.Consumer(ctx, h.subjects.StreamName(), h.subjects.ConsumerName())
		var waiting uint64
		if err == nil {
			info := consumer.CachedInfo()
			waiting = info.NumPending + uint64(max(info.NumAckPending, 0))
			if waiting <= backlogLimit {
				return nil
			}
		}
		if !backoff.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%d events are not stored within %s: %w", waiting, catchUp, cmp.Or(err, ctx.Err()))
		}
	}
}

// send publishes a message, unless the operation has reached its volume. It reports whether the operation may go on.
// What nats.go refuses to send, for example because it is too large with its header, is left out.
func (h *hostile) send(ctx context.Context, suffix bus.Suffix, reply string, header nats.Header, data []byte) bool {
	message := &nats.Msg{Subject: h.subjects.Subject(suffix), Reply: reply, Header: header, Data: data}
	if h.conn.PublishMsg(message) == nil {
		h.count(suffix, message.Size())
	}
	return h.mayGoOn(ctx)
}

func (h *hostile) count(suffix bus.Suffix, bytes int) {
	h.sent++
	if slices.Contains(bus.Events, suffix) {
		h.streamed += bytes
	} else {
		h.other += bytes
	}
}

// mayGoOn reports whether the operation has not sent all that it may.
func (h *hostile) mayGoOn(ctx context.Context) bool {
	return h.streamed < streamVolume && h.other < volume && ctx.Err() == nil
}

// event publishes a valid event.
func (h *hostile) event(ctx context.Context, suffix bus.Suffix, fields ...field) bool {
	return h.send(ctx, suffix, "", nil, []byte(object(fields...)))
}

// request sends a request whose reply nobody reads.
func (h *hostile) request(ctx context.Context, suffix bus.Suffix, fields ...field) bool {
	return h.send(ctx, suffix, "_INBOX.hostile."+digits(h.random, 1_000_000), nil, []byte(object(fields...)))
}

// size returns a number of bytes up to the largest payload, with room for the rest of the message. Half of the sizes
// are near the limits of the service.
func (h *hostile) size() int {
	near := pick(h.random, 4096, 16<<10, 64<<10, 128<<10)
	return pick(h.random, near-8+h.random.IntN(16), 1+h.random.IntN(h.most-1024), h.most-1024, near-8+h.random.IntN(16))
}

func filler(size int) string { return strings.Repeat("x", max(size, 0)) }
