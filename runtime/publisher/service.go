package publisher

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// answerValid is how long an answer proves that the service is there: one that is killed or hangs must be reported even
// if there is nothing to publish. Up to a fifth is added at random, so that bots do not ask in step.
const answerValid = 5 * time.Second

// restartGrace is how much longer a service may be silent while the stream takes the events: a service that restarts,
// in a rolling update for example, must not make every bot not ready.
const restartGrace = 5 * time.Second

// service is what is known of the database service. Run and watch use it concurrently.
type service struct {
	conn     *bus.Conn
	requests *bus.Requester
	channel  bus.Origin
	subjects string // for messages
	log      *slog.Logger
	check    *status.Recorder

	generation atomic.Uint64 // of the connection on which it answered last
	due        atomic.Int64  // when it is asked again, in Unix nanoseconds
	withoutIDs atomic.Bool   // it would store again what is published again
	answered   atomic.Bool   // it has answered once
}

func newService(o Options) *service {
	all := o.Subjects.Subject("db.…")
	return &service{
		conn: o.Conn, requests: bus.NewRequester(o.Conn, o.Subjects), channel: o.Channel, subjects: all, log: o.Log,
		check: status.NewRecorder(status.ServiceCheck, "looking for a database service on "+all),
	}
}

// deduplicates reports whether the service that answered last stores a message with a known ID only once. It is assumed
// until one has answered. A service that is away is expected to come back as it was.
func (s *service) deduplicates() bool { return !s.withoutIDs.Load() }

// refuses reports whether the service has replied that it does not serve the channel.
func (s *service) refuses() bool { return s.check.Check().Reason == status.ReasonChannelNotServed }

// present reports whether a service has answered on the current connection within answerValid, and otherwise asks for
// one.
func (s *service) present(ctx context.Context) bool {
	if !s.conn.Connected() {
		s.reportAbsent(bus.ErrNotConnected)
		return false
	}
	return s.answeredWithin(0) || s.find(ctx) == nil
}

// watch does what present does while the stream takes the events, with restartGrace.
func (s *service) watch(ctx context.Context) {
	switch {
	case s.answeredWithin(0):
	case s.answeredWithin(restartGrace):
		_ = s.ask(ctx) // it may only be restarting
	default:
		s.present(ctx)
	}
}

// answeredWithin reports whether the service has answered on the current connection, and its next answer is not
// overdue by more than grace.
func (s *service) answeredWithin(grace time.Duration) bool {
	return s.check.Check().OK && s.generation.Load() == s.conn.Generation() &&
		time.Now().UnixNano() < s.due.Load()+int64(grace)
}

// untilDue returns the time until the service has to be asked again.
func (s *service) untilDue() time.Duration {
	return time.Until(time.Unix(0, s.due.Load()))
}

// find sends a request to the service and records whether it answers.
func (s *service) find(ctx context.Context) error {
	err := s.ask(ctx)
	if err != nil && ctx.Err() == nil {
		s.reportAbsent(err)
	}
	return err
}

// ask sends a request to the service and records its answer.
func (s *service) ask(ctx context.Context) error {
	generation := s.conn.Generation()
	deduplicates, err := s.requests.FindService(ctx, s.channel)
	if err != nil {
		return err
	}
	s.generation.Store(generation)
	s.due.Store(time.Now().Add(answerValid + backoff.Jitter(answerValid/5)).UnixNano())
	s.withoutIDs.Store(!deduplicates)
	s.answered.Store(true)
	s.report(s.log.Info, true, status.ReasonServiceAnswers, "a database service answers on "+s.subjects)
	return nil
}

// reportAbsent records that the service did not answer, and why.
func (s *service) reportAbsent(err error) {
	log, reason, message := s.log.Warn, status.ReasonServiceAbsent, "no database service answers on "+s.subjects
	captured, isCaptured := errors.AsType[*bus.StreamError](err)
	switch {
	case isCaptured:
		reason, message = captured.Reason, captured.Message
	case errors.Is(err, bus.ErrNotConnected):
		log = s.log.Debug // Conn logs it
		message = "no connection to NATS, so the database service cannot be reached"
	case errors.Is(err, bus.ErrNoReply):
		message = "the database service on " + s.subjects + " does not answer in time"
	case errors.Is(err, bus.ErrNotServed):
		reason, message = status.ReasonChannelNotServed, err.Error()
	case errors.Is(err, bus.ErrNotAService):
		message = err.Error()
	}
	s.report(log, false, reason, message)
}

func (s *service) report(log func(string, ...any), ok bool, reason status.Reason, message string) {
	before := s.check.Check()
	if s.check.Set(ok, reason, message) || before.Message != message {
		log(viaNATS + message)
	}
}
