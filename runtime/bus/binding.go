package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// bindTimeout bounds the requests to JetStream of one attempt to bind.
	bindTimeout = 3 * time.Second
	// refusedRetry is the time after which a binding that has decided for core NATS tries to get the stream again: room
	// can be made for it without a new connection.
	refusedRetry = 10 * time.Second
	// limitsRetry is the same for limits of a stream that the server refuses to change.
	limitsRetry = time.Minute
	// maxUntilDue bounds Binding.UntilDue, so that what is not announced is found all the same.
	maxUntilDue = time.Minute
	// ackTimeout is how long the stream may take to acknowledge a message.
	ackTimeout = 5 * time.Second
)

// MaxUnacknowledged bounds the messages that wait for an acknowledgement of the stream.
const MaxUnacknowledged = 1024

// BindingOptions configure a Binding. All are required.
type BindingOptions struct {
	Conn      *Conn
	Subjects  Subjects
	JetStream config.JetStream
	// Log gets one line for each change.
	Log *slog.Logger
}

// Binding decides for each connection whether events go to the stream or by core NATS. A decision for the stream lasts;
// one for core NATS, or for a stream whose settings are not the wanted ones, is made again from time to time. It is
// safe for concurrent use. A nil Binding always decides for core NATS.
type Binding struct {
	conn     *Conn
	subjects Subjects
	mode     string
	manual   bool // an administrator creates the stream
	wanted   jetstream.StreamConfig
	log      *slog.Logger
	check    *status.Recorder

	refusedRetry, limitsRetry time.Duration // the constants, except in tests

	deciding chan struct{}       // has a token while somebody queries JetStream
	js       jetstream.JetStream // belongs to the holder of the token

	mu         sync.Mutex // not held over requests and logging
	bound      Bound
	decided    bool      // bound is the decision for generation
	due        time.Time // when a decision that may not be what is wanted is made again; zero: it lasts
	generation uint64    // of the connection
	works      finding   // the state of events while the stream works
	everBound  bool      // a stream was bound once
	failing    bool      // the last report was ReportFailure
	failures   int       // calls of ReportFailure
}

// Bound is a decision. Its zero value is core NATS.
type Bound struct {
	// Stream keeps the events. Nil: core NATS.
	Stream jetstream.Stream
	// JetStream is the context that Stream belongs to.
	JetStream jetstream.JetStream
}

// Manual reports whether an administrator creates the objects in JetStream.
func (b *Binding) Manual() bool { return b != nil && b.manual }

// Durable reports whether events go to a stream.
func (b Bound) Durable() bool { return b.Stream != nil }

// finding is the state of events that a decision or a report has found, for the check.
type finding struct {
	ok      bool
	reason  status.Reason
	message string
}

// NewBinding returns a Binding. It sends no request before Bind.
func NewBinding(o BindingOptions) *Binding {
	b := &Binding{
		conn: o.Conn, subjects: o.Subjects, mode: o.JetStream.Mode, log: o.Log,
		manual:   o.JetStream.Provisioning == config.ProvisioningManual,
		wanted:   o.Subjects.streamConfig(o.JetStream),
		check:    status.NewRecorder(status.EventsCheck, "waiting for a connection to NATS"),
		deciding: make(chan struct{}, 1), refusedRetry: refusedRetry, limitsRetry: limitsRetry,
	}
	if b.mode == config.JetStreamNever {
		b.check.Set(true, status.ReasonCoreOnly, "events are not durable: nats.jetStream.mode is never")
	}
	return b
}

// Check returns the state of events as status.EventsCheck. b is not nil.
func (b *Binding) Check() status.Check {
	check := b.check.Check()
	if check.Reason != status.ReasonStreamBound && check.Reason != status.ReasonStreamUnavailable {
		return check
	}
	// Who sends a request gets an error if it was denied. A denied acknowledgement of a consumer would only show in events
	// that are delivered again and again.
	if subject := b.conn.state.deniedFor(b.wanted.Name, ackAPI, nextAPI); subject != "" {
		check.OK, check.Reason = false, status.ReasonNATSPermissionMissing
		check.Message = fmt.Sprintf("the account may not publish to %q, which the stream's events need", subject)
	}
	return check
}

// Bind returns the decision for the current connection, and makes it if necessary. An error means that nothing can be
// decided yet; Check states the cause. It is ErrNotConnected without a connection.
//
// One caller at a time queries JetStream. The others wait for it or for the end of their contexts.
func (b *Binding) Bind(ctx context.Context) (Bound, error) {
	if b == nil || b.mode == config.JetStreamNever {
		return Bound{}, nil
	}
	if !b.conn.Connected() {
		return Bound{}, ErrNotConnected
	}
	if bound, ok := b.decision(); ok {
		return bound, nil
	}
	select {
	case b.deciding <- struct{}{}:
		defer func() { <-b.deciding }()
	case <-ctx.Done():
		return Bound{}, fmt.Errorf("binding to the stream: %w", context.Cause(ctx))
	}
	if bound, ok := b.decision(); ok {
		return bound, nil // made by another caller meanwhile
	}
	return b.decide(ctx)
}

// decision returns the decision for the current connection, if it has been made and need not be made again.
func (b *Binding) decision() (Bound, bool) {
	generation := b.conn.Generation()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.decided || b.generation != generation || !b.due.IsZero() && !time.Now().Before(b.due) {
		return Bound{}, false
	}
	return b.bound, true
}

// UntilDue returns for how long Bind returns the same without a request, unless the connection changes or a failure is
// reported. 0: not at all. At most it is a minute.
func (b *Binding) UntilDue() time.Duration {
	if b == nil || b.mode == config.JetStreamNever {
		return maxUntilDue
	}
	if _, decided := b.decision(); !decided {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.due.IsZero() {
		return maxUntilDue
	}
	return min(time.Until(b.due), maxUntilDue)
}

// decide queries JetStream and makes a decision. The caller holds the token of b.deciding.
func (b *Binding) decide(ctx context.Context) (Bound, error) {
	generation := b.conn.Generation()
	b.mu.Lock()
	failures, mayUseCore := b.failures, b.mode == config.JetStreamAuto && !b.everBound && !b.manual
	again, before := b.decided && b.generation == generation, b.bound
	b.mu.Unlock()
	bound, err := b.openStream(ctx)
	switch {
	case ctx.Err() != nil:
		return Bound{}, fmt.Errorf("binding to the stream: %w", context.Cause(ctx))
	case !b.conn.Connected():
		return Bound{}, ErrNotConnected // err is not about the stream
	}
	if bound.Durable() {
		b.recordDecision(bound, generation, failures, b.working(bound, err))
		return bound, nil
	}
	found := b.explain(err, mayUseCore)
	if again && (before.Durable() || found.reason == status.ReasonStreamUnavailable) {
		// Nothing is known that was not known before. Whoever uses a stream that ceases to work reports it.
		b.recordDecision(before, generation, failures, finding{})
		return before, nil
	}
	if !mayUseCore || found.reason == status.ReasonStreamUnavailable {
		b.update(func() finding { return found })
		return Bound{}, err
	}
	// Also if another stream prevents it: events reach a service that is running.
	b.recordDecision(Bound{}, generation, failures, found)
	return Bound{}, nil
}

// recordDecision records a decision for a connection, and what was found. failures is their number before the decision.
func (b *Binding) recordDecision(bound Bound, generation uint64, failures int, found finding) {
	b.update(func() finding {
		b.bound, b.generation, b.due = bound, generation, b.nextDecision(bound, found)
		b.decided = b.failures == failures // a failure reported meanwhile demands another decision
		b.everBound = b.everBound || bound.Durable()
		if bound.Durable() && found != (finding{}) {
			b.works = found
		}
		if bound.Durable() && b.failing {
			return finding{} // Check shows the failure until ReportSuccess
		}
		return found
	})
}

// nextDecision returns when a decision is made again. Zero: it lasts.
func (b *Binding) nextDecision(bound Bound, found finding) time.Time {
	switch {
	case !bound.Durable():
		return time.Now().Add(b.refusedRetry)
	case found.reason != status.ReasonStreamBound || len(b.missing(bound)) > 0:
		// Or nothing new is known of limits that could not be changed. An administrator adds subjects without a new
		// connection.
		return time.Now().Add(b.limitsRetry)
	}
	return time.Time{}
}

// openStream binds to the stream, which it creates or updates unless an administrator does. The caller holds the token
// of b.deciding. With a stream whose limits cannot be changed it returns the Bound and a settingError.
func (b *Binding) openStream(ctx context.Context) (Bound, error) {
	if b.js == nil {
		js, err := jetstream.New(b.conn.NATS(), jetstream.WithPublishAsyncTimeout(ackTimeout),
			jetstream.WithPublishAsyncMaxPending(MaxUnacknowledged))
		if err != nil {
			return Bound{}, fmt.Errorf("preparing for JetStream: %w", err)
		}
		b.js = js
	}
	if err := checkServerVersion(b.conn.NATS()); err != nil {
		return Bound{}, err
	}
	var stream jetstream.Stream
	err := b.conn.Do(ctx, bindTimeout, b.wanted.Name, func(ctx context.Context) (err error) {
		if request := b.subjects.Subject(OutboundGet); b.manual {
			stream, err = findStream(ctx, b.js, b.wanted, request)
		} else {
			stream, _, err = ensureStream(ctx, b.js, b.wanted, request)
		}
		return err
	})
	if stream == nil {
		return Bound{}, err
	}
	return Bound{Stream: stream, JetStream: b.js}, err
}

// working returns the state of events after the stream was bound. err is a settingError or nil.
func (b *Binding) working(bound Bound, err error) finding {
	if err != nil {
		return finding{true, status.ReasonStreamRefused, "events are kept until they are stored, but " + err.Error() +
			"; give NATS the room or the permission, or take the change back"}
	}
	message := "events are kept in the stream " + b.wanted.Name + " until they are stored"
	if missing := b.missing(bound); len(missing) > 0 {
		message += ", except those on " + strings.Join(missing, ", ") + ", which the stream of an earlier version lacks: " +
			"they are dropped until an administrator has run rosey nats create again"
	}
	return finding{true, status.ReasonStreamBound, message}
}

// missing returns the subjects that a stream in use lacks.
func (b *Binding) missing(bound Bound) []string {
	later, _ := missingSubjects(bound.Stream.CachedInfo().Config, b.wanted)
	return later
}

// explain returns the state of events after the stream could not be bound because of err. mayUseCore means that events
// go by core NATS if there is no JetStream.
func (b *Binding) explain(err error, mayUseCore bool) finding {
	conflict, isConflict := errors.AsType[*StreamError](err)
	denied, isDenied := errors.AsType[*DeniedError](err)
	var missing string
	reason := status.ReasonJetStreamMissing
	switch {
	case isConflict && conflict.Reason != status.ReasonJetStreamMissing && conflict.Reason != status.ReasonStreamRefused:
		return finding{false, conflict.Reason, conflict.Message}
	case isConflict:
		missing, reason = conflict.Message, conflict.Reason
	case isDenied:
		missing = denied.Error() + ", so it cannot use JetStream"
		if hasJetStream, _ := b.conn.NATS().ConnectedServerJetStream(); hasJetStream {
			reason = status.ReasonStreamRefused
		}
	case IsJetStreamMissing(err):
		missing = "the NATS server has no JetStream, or this account may not use it"
	default:
		return b.unavailable(err)
	}
	if !mayUseCore {
		return finding{false, reason, missing + "; events wait for it"}
	}
	if reason == status.ReasonJetStreamMissing {
		reason = status.ReasonCoreOnly // mode auto permits a server without JetStream
	}
	return finding{true, reason, "events are not durable: " + missing}
}

// unavailable returns the state of events after the stream failed to take or deliver them.
func (b *Binding) unavailable(err error) finding {
	if problem, ok := errors.AsType[*StreamError](err); ok {
		return finding{false, problem.Reason, problem.Message}
	}
	if denied, ok := errors.AsType[*DeniedError](err); ok {
		return finding{false, status.ReasonNATSPermissionMissing, denied.Error() + ", which the stream's events need"}
	}
	if isLimit(err) {
		return finding{
			false, status.ReasonStreamRefused,
			fmt.Sprintf("the NATS server refuses what the stream %s needs: %s; events wait until there is room or the limit "+
				"is raised", b.wanted.Name, ErrorMessage(err)),
		}
	}
	message := fmt.Sprintf("the stream %s does not answer: %s; events wait for it", b.wanted.Name, ErrorMessage(err))
	if errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		// A server that cannot write sends no error, and tries again only after a restart.
		message += ". The log of the NATS server says why: if its disk was full, restart it when there is room"
	}
	return finding{false, status.ReasonStreamUnavailable, message}
}

// ReportFailure records that the stream failed to take or deliver events. The next Bind queries the stream again, and
// Check shows the failure until ReportSuccess, even if the stream looks healthy.
func (b *Binding) ReportFailure(err error) {
	connected := b.conn.Connected()
	b.update(func() finding {
		b.decided = false
		b.failures++
		if !connected {
			return finding{} // the failure is not the stream's
		}
		b.failing = true
		return b.unavailable(err)
	})
}

// ReportSuccess records that the stream took or delivered events.
func (b *Binding) ReportSuccess() {
	b.update(func() finding {
		if !b.failing {
			return finding{}
		}
		b.failing = false
		return b.works
	})
}

// update calls change with the lock held, and sets the check to the finding that it returns, unless that is zero.
func (b *Binding) update(change func() finding) {
	b.mu.Lock()
	found := change()
	changed := found != (finding{}) && b.check.Set(found.ok, found.reason, found.message)
	b.mu.Unlock()
	switch {
	case !changed:
	case found.ok && found.reason != status.ReasonStreamRefused:
		b.log.Info("[NATS] " + found.message)
	default:
		b.log.Warn("[NATS] " + found.message)
	}
}
