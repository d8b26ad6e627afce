package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// askTimeout bounds what is asked of JetStream.
	askTimeout = 3 * time.Second
	// confirmTimeout is how long the stream may take to confirm a message.
	confirmTimeout = 5 * time.Second
)

// MaxUnacknowledged bounds the messages that may wait for the acknowledgement of the stream.
const MaxUnacknowledged = 1024

// BindingOptions say what a Binding decides on. All are required.
type BindingOptions struct {
	Conn      *Conn
	Subjects  Subjects
	JetStream config.JetStream
	// Log gets one line for each change.
	Log *slog.Logger
}

// Binding decides how events go: kept by the stream, or by core NATS alone. It decides once for each connection.
// Who had the stream once never goes back to core NATS by itself, since what is durable must not silently cease to be.
// It is safe for concurrent use. A nil Binding is core NATS alone.
type Binding struct {
	conn     *Conn
	subjects Subjects
	mode     string
	wanted   jetstream.StreamConfig
	log      *slog.Logger
	check    *status.Recorder

	mu         sync.Mutex
	js         jetstream.JetStream
	bound      Bound
	decided    bool
	connection uint64 // for which it was decided
	durable    bool   // the stream was bound once
	doubted    bool
}

// Bound is a decision. Its zero value is core NATS alone.
type Bound struct {
	// Stream keeps the events. Nil: nobody does.
	Stream jetstream.Stream
	// JetStream is what Stream belongs to.
	JetStream jetstream.JetStream
}

// Durable says whether events are kept.
func (b Bound) Durable() bool { return b.Stream != nil }

// NewBinding makes a binding. Nothing is asked before Bind.
func NewBinding(o BindingOptions) *Binding {
	return &Binding{
		conn: o.Conn, subjects: o.Subjects, mode: o.JetStream.Mode, log: o.Log,
		wanted: o.Subjects.streamConfig(o.JetStream),
		check:  status.NewRecorder(status.EventsCheck, "waiting for a connection to NATS"),
	}
}

// Check is how events go as status.EventsCheck.
func (b *Binding) Check() status.Check {
	if b == nil {
		return status.Check{
			Name: status.EventsCheck, OK: true, Reason: status.ReasonCoreOnly,
			Message: "events are not durable: core NATS alone",
		}
	}
	check := b.check.Check()
	if check.Reason != status.ReasonStreamBound && check.Reason != status.ReasonStreamUnavailable {
		return check
	}
	// The server tells a refusal beside the request, which gets no answer: an acknowledgement that is refused would
	// only be noticed by events that come again and again.
	if subject := b.conn.state.deniedFor(b.wanted.Name); subject != "" {
		check.OK, check.Reason = false, status.ReasonNATSPermissionMissing
		check.Message = fmt.Sprintf("the account may not publish to %q, which the stream's events need", subject)
	}
	return check
}

// Bind answers how events go on the connection that stands, and decides on it if need be. An error says that it
// cannot be decided yet; Check says why.
func (b *Binding) Bind(ctx context.Context) (Bound, error) {
	if b == nil {
		return Bound{}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == config.JetStreamNever {
		b.set(true, status.ReasonCoreOnly, "events are not durable: nats.jetStream.mode is never")
		return Bound{}, nil
	}
	if !b.conn.Connected() {
		return Bound{}, ErrNotConnected
	}
	connection := b.conn.Generation()
	if b.decided && b.connection == connection {
		return b.bound, nil
	}
	bound, err := b.decide(ctx)
	if ctx.Err() != nil || !b.conn.Connected() {
		return Bound{}, ErrNotConnected // whatever was found is not about the stream
	}
	if err != nil {
		return Bound{}, err
	}
	b.bound, b.decided, b.connection = bound, true, connection
	b.durable = b.durable || bound.Durable()
	return bound, nil
}

// ReportFailure records that the stream failed to take or deliver events. The next Bind inspects the stream again, and
// Check shows the failure until ReportSuccess, even if the stream looks healthy.
func (b *Binding) ReportFailure(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.decided = false
	if !b.conn.Connected() {
		return // that is no fault of the stream's
	}
	b.doubted = true
	b.setUnavailable(err)
}

// ReportSuccess records that the stream took or delivered events.
func (b *Binding) ReportSuccess() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubted {
		b.doubted = false
		b.setBound()
	}
}

func (b *Binding) setBound() {
	b.set(true, status.ReasonStreamBound, "events are kept in the stream "+b.wanted.Name+" until they are stored")
}

func (b *Binding) setUnavailable(err error) {
	b.set(false, status.ReasonStreamUnavailable,
		fmt.Sprintf("the stream %s does not answer: %s; events wait for it", b.wanted.Name, ErrorMessage(err)))
}

// decide needs the lock.
func (b *Binding) decide(ctx context.Context) (Bound, error) {
	stream, err := b.ensure(ctx)
	if err == nil {
		if !b.doubted {
			b.setBound()
		}
		return Bound{Stream: stream, JetStream: b.js}, nil
	}
	if ctx.Err() != nil || !b.conn.Connected() {
		return Bound{}, err
	}
	refused, isRefused := errors.AsType[*StreamError](err)
	switch {
	case isRefused && refused.Reason != status.ReasonJetStreamMissing:
		// What differs is somebody's to mend. Without the stream events still reach a service that is there.
		b.set(false, refused.Reason, refused.Message)
		return b.without(err)
	case isRefused:
		return b.missing(refused.Message, err)
	}
	if why := b.whyMissing(err); why != "" {
		return b.missing(why, err)
	}
	b.setUnavailable(err)
	return Bound{}, err
}

// missing needs the lock.
func (b *Binding) missing(why string, err error) (Bound, error) {
	bound, err := b.without(err)
	if err == nil {
		b.set(true, status.ReasonCoreOnly, "events are not durable: "+why)
	} else {
		b.set(false, status.ReasonJetStreamMissing, why+"; events wait for it")
	}
	return bound, err
}

// without is core NATS where that will do, and else the error again.
func (b *Binding) without(err error) (Bound, error) {
	if b.mode == config.JetStreamAuto && !b.durable {
		return Bound{}, nil
	}
	return Bound{}, err
}

// ensure needs the lock.
func (b *Binding) ensure(ctx context.Context) (jetstream.Stream, error) {
	if b.js == nil {
		js, err := jetstream.New(b.conn.NATS(), jetstream.WithPublishAsyncTimeout(confirmTimeout),
			jetstream.WithPublishAsyncMaxPending(MaxUnacknowledged))
		if err != nil {
			return nil, fmt.Errorf("preparing for JetStream: %w", err)
		}
		b.js = js
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return ensureStream(asking, b.js, b.wanted, b.subjects.Subject(OutboundGet))
}

// whyMissing says why there is no JetStream for us, and nothing when there is. A request that the server does not
// permit gets no answer, so the refusal that came beside it tells.
func (b *Binding) whyMissing(err error) string {
	if subject := b.conn.state.deniedFor(b.wanted.Name); subject != "" {
		return fmt.Sprintf("the account may not publish to %q, so it cannot use JetStream", subject)
	}
	if jetStreamMissing(err) {
		return "the NATS server has no JetStream, or not for our account"
	}
	return ""
}

func (b *Binding) set(ok bool, reason status.Reason, message string) {
	if !b.check.Set(ok, reason, message) {
		return
	}
	log := b.log.Warn
	if ok {
		log = b.log.Info
	}
	log("[NATS] " + message)
}
