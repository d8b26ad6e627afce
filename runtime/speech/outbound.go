package speech

import (
	"context"
	"errors"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// outbound is the state of processing the outbound queue.
type outbound struct {
	// wanted: lines are to be requested at once. announced: a line waits. fetching: a request is in progress.
	wanted, announced, fetching bool
	// requestedAt is when lines were last requested, and pollAt when they are to be requested without an occasion.
	requestedAt, pollAt time.Time
	answers             chan answer
	// lines were handed out and are to be said, in order.
	lines []bus.OutboundMessage
	// limit is the limit of the last request. useless counts the lines of its reply that must not be said now: the next
	// limit is higher by as many.
	limit, useless int
	failing        bool
}

// answer is the service's reply to a request for lines to say.
type answer struct {
	bus.OutboundReply

	err error
}

const (
	// minPause is the minimum time between a request and one because of an announcement: otherwise everybody who may
	// publish on its subject could make the bot send requests without a pause.
	minPause = 50 * time.Millisecond
	// rarely is how many times longer the bot waits before it polls a service that announces lines: an announcement can
	// be lost.
	rarely = 5
)

// untilRequest returns how long to wait before the next request. 0: it is due.
func (o *outbound) untilRequest(now time.Time) time.Duration {
	switch {
	case o.fetching:
		return idle
	case o.wanted:
		return 0
	case o.announced:
		return max(0, o.requestedAt.Add(minPause).Sub(now))
	}
	return max(0, o.pollAt.Sub(now))
}

func (s *Speaker) mayFetch(now time.Time) bool {
	return s.permission.confirmed(s.RefusalDelay, now) != PermissionUnknown && s.Leading()
}

// fetch returns a function that requests the next line to say. It requests only one line, so that few lines are in
// doubt when a bot dies: those that it had claimed.
func (s *Speaker) fetch(ctx context.Context, now time.Time) func() {
	o := &s.outbound
	o.wanted, o.announced, o.fetching, o.requestedAt, o.limit = false, false, true, now, 1+o.useless
	request := bus.OutboundGetRequest{
		Limit: new(o.limit), MaxRetries: new(backoff.OutboundAttempts), Claimant: s.Claimant, Origin: s.Origin,
	}
	return func() {
		var got answer
		got.err = s.Requester.Request(ctx, bus.OutboundGet, request, &got.OutboundReply)
		if ctx.Err() == nil {
			o.answers <- got // it has room for the one request in progress
		}
	}
}

func (s *Speaker) fetched(got answer, now time.Time) {
	o := &s.outbound
	o.pollAt = now.Add(s.Poll)
	if got.err == nil && got.NextDue != nil {
		o.pollAt = now.Add(min(max(*got.NextDue, minPause), rarely*s.Poll))
	}
	// Another client may have answered in place of the service: with more lines it would stop the bot from requesting
	// others.
	o.fetching, o.lines = false, slices.Clone(got.Lines[:min(len(got.Lines), o.limit)])
	switch {
	case got.err != nil && !o.failing:
		log := s.Log.Warn
		if errors.Is(got.err, bus.ErrNoService) || errors.Is(got.err, bus.ErrNotConnected) {
			log = s.Log.Debug // the Publisher and the connection log it
		}
		log("cannot fetch outbound messages; continuing without them", "error", got.err)
	case got.err == nil && o.failing:
		s.Log.Info("outbound messages can be fetched again")
	}
	o.failing = got.err != nil
	o.useless = 0
	// If every line was useless, there may be others after them.
	o.wanted = o.wanted || len(got.Lines) > 0 && len(got.Lines) >= o.limit
}

// beginLine starts with the next line that was handed out.
func (s *Speaker) beginLine(now time.Time) {
	o := &s.outbound
	m := o.lines[0]
	o.lines = o.lines[1:]
	l, due, safe := s.Tracker.claim(m, now)
	if due {
		s.startSpan(l, m)
	}
	switch {
	case !due:
		o.useless++
		s.reportAgain(l, now)
	case l.tooLong:
		s.fail(l, Result{Outcome: TooLong}, now)
	case !safe:
		s.fail(l, Result{
			Outcome: Doubtful,
			Reason:  "a bot that claimed the line may have said it, and the chat history does not go back that far",
		}, now)
	case l.state == said:
		s.reportSaid(l, now)
	default:
		s.attempts = append(s.attempts, partOf(l))
	}
}

func partOf(l *line) *attempt {
	return &attempt{message: l.message(), line: l, part: l.next}
}

// withoutPermission ends an attempt at a line that the bot may not say. While that is not certain, the line stays
// claimed.
func (s *Speaker) withoutPermission(a *attempt, now time.Time) {
	reason := "the bot may not chat in the channel"
	switch s.permission.confirmed(s.RefusalDelay, now) {
	case PermissionMuted:
		s.finish(Result{Outcome: Muted, Reason: reason}, nil)
	case PermissionRankTooLow:
		s.finish(Result{Outcome: Forbidden, Reason: reason}, nil)
	default:
		s.drop(a, nil)
	}
}

// partDone continues with a line after an attempt at one of its parts.
func (s *Speaker) partDone(a *attempt, got Result) {
	now, l := time.Now(), a.line
	wasCut := false
	switch {
	case got.Outcome == Gone:
		l.on(disconnected) // nothing if the part was not sent
		l.endSpan(Gone)
		return
	case got.Outcome != Said:
		s.fail(l, got, now)
		return
	case l.next == a.part: // not if a late echo confirmed it while this attempt waited
		var c cut
		c, wasCut = l.length.compare(a.message, got.shown)
		l.markAppeared(a.message, c.rest)
		if l.state == said {
			s.reportSaid(l, now)
		}
	}
	switch {
	case l.state == claimed && wasCut: // nothing must come between the two halves
		s.attempts = slices.Insert(s.attempts, 0, partOf(l))
	case l.state == claimed:
		s.attempts = append(s.attempts, partOf(l))
	}
}

// partAppeared handles a line of which a missing part has appeared after all. Nil: there is none.
func (s *Speaker) partAppeared(l *line) {
	if l != nil && l.state == said {
		s.reportSaid(l, time.Now())
	}
}

// reportSaid reports a line as sent, and counts it the first time.
func (s *Speaker) reportSaid(l *line, now time.Time) {
	if l.reportedAt.IsZero() {
		s.Count(Said)
		s.Log.InfoContext(l.spanContext(), "said a line of the outbound queue", "id", l.id)
	}
	s.outbound.wanted = true
	l.reportedAt = now
	origin := s.Origin
	origin.Timestamp.Time = now
	s.Publisher.Publish(l.spanContext(), bus.OutboundSent, s.EventID(now), bus.OutboundSentPayload{
		MessageID: &l.id, MessageTimestamp: l.enqueuedAt, Origin: origin,
	})
	l.endSpan(Said)
}

// reportAgain reports a line again that is handed out although it was said: the report can be lost on its way to a
// service without acknowledgements. Usually it is only in transit, so it is not repeated at every poll.
func (s *Speaker) reportAgain(l *line, now time.Time) {
	if l.state == said && now.Sub(l.reportedAt) >= reportAgainPolls*s.Poll {
		s.reportSaid(l, now)
	}
}

// reportAgainPolls is after how many polls a line that was said is reported again.
const reportAgainPolls = 15

// fail reports a failed attempt. The service decides when the line is handed out again. The Tracker enforces the same
// back-off in case the service has not stored the failure.
func (s *Speaker) fail(l *line, got Result, now time.Time) {
	permanent := l.markFailed(got.Outcome, now)
	s.Count(got.Outcome)
	s.Log.WarnContext(l.spanContext(), "a line of the outbound queue was not said", "id", l.id, "outcome", got.Outcome,
		"reason", got.Reason,
		"permanent", permanent)
	s.outbound.wanted = true
	origin := s.Origin
	origin.Timestamp.Time = now
	s.Publisher.Publish(l.spanContext(), bus.OutboundFailed, s.EventID(now), bus.OutboundFailedPayload{
		MessageID: &l.id, MessageTimestamp: l.enqueuedAt, Error: got.String(), Permanent: permanent,
		RetryCount: &l.retryCount, Origin: origin,
	})
	l.endSpan(got.Outcome)
}
