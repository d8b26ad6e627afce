package publisher

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// serviceState is what the publisher knows about the database service, with one log line for each change.
type serviceState struct {
	subject string
	log     *slog.Logger

	mu         sync.Mutex
	answers    bool
	connection uint64 // on which it answered
	withoutIDs bool   // it would store an event with a known id again
	reason     status.Reason
	why        string
	since      time.Time
	lost       int // messages dropped since the service went away
}

func newServiceState(subjects bus.Subjects, log *slog.Logger) *serviceState {
	return &serviceState{
		subject: subjects.Subject("db.…"), log: log,
		reason: status.ReasonStarting, why: "looking for a database service on " + subjects.Subject("db.…"),
		since: time.Now(),
	}
}

func (s *serviceState) answersOn(connection uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers && s.connection == connection
}

// storesAgain says whether the service that answered last would store again what is published again. Such a one
// reads no stream either. While it is away that stays so: it is likely to come back.
func (s *serviceState) storesAgain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withoutIDs
}

func (s *serviceState) answered(connection uint64, knowsIDs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connection, s.withoutIDs = connection, !knowsIDs
	s.set(s.log.Info, true, status.ReasonServiceAnswers, "a database service answers on "+s.subject)
}

// flows notes that messages go where they belong.
func (s *serviceState) flows() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		s.log.Warn("[NATS] messages were lost while nobody took them", "count", s.lost)
		s.lost = 0
	}
}

func (s *serviceState) absent(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, why, reason := s.log.Warn, "no database service answers on "+s.subject, status.ReasonServiceAbsent
	captured, isCaptured := errors.AsType[*bus.StreamError](err)
	switch {
	case isCaptured:
		why, reason = captured.Message, captured.Reason
	case errors.Is(err, bus.ErrNotConnected):
		log = s.log.Debug // the connection says it louder
		why = "no connection to NATS, so the database service cannot be reached"
	case errors.Is(err, bus.ErrNoReply):
		why = "the database service on " + s.subject + " does not answer in time"
	case errors.Is(err, bus.ErrNotAService):
		why = err.Error()
	}
	s.set(log, false, reason, why)
}

// dropped notes that a full buffer lost a message.
func (s *serviceState) dropped(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == 0 {
		s.log.Error("[NATS] the buffer is full, the oldest messages are dropped until somebody takes them",
			"buffer", limit)
	}
	s.lost++
}

// set needs the lock.
func (s *serviceState) set(log func(string, ...any), answers bool, reason status.Reason, why string) {
	if s.answers == answers && s.why == why {
		return
	}
	if s.answers != answers || s.reason != reason {
		s.since = time.Now()
	}
	s.answers, s.reason, s.why = answers, reason, why
	log("[NATS] " + why)
}

// check has no count of what is kept: it would change all the time, and each change of a message is a write of the
// RoseyBot's status. The count is a metric.
func (s *serviceState) check(durable bool) status.Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	message := s.why
	switch {
	case s.answers:
	case durable:
		message += "; the stream keeps events until one does"
	default:
		message += "; events are kept until one answers"
	}
	return status.Check{
		Name: status.ServiceCheck, OK: s.answers, Reason: s.reason, Message: message, Since: s.since,
	}
}
