package speech

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// outbound is the state of working off the queue.
type outbound struct {
	// wanted: it is time to ask for lines. fetching: a request is under way.
	wanted, fetching bool
	answers          chan answer
	// lines were handed out and are to be said, in order.
	lines []bus.OutboundMessage
	// limit is how many lines the last request asked for. useless counts those of its answer that were not to be said
	// now: they must not use up the next limit.
	limit, useless int
	failing        bool
}

// answer is the service's reply to a request for lines to say.
type answer struct {
	lines []bus.OutboundMessage
	err   error
}

func (s *Speaker) mayFetch(now time.Time) bool {
	o := &s.outbound
	return o.wanted && !o.fetching && s.permission.settled(s.Settle, now) != PermissionUnknown && s.Leading()
}

// fetch returns the work of asking for the line to say next. It asks for one line only, so that few are in doubt when
// a bot dies: what it had claimed and not tried.
func (s *Speaker) fetch(ctx context.Context) func() {
	o := &s.outbound
	o.wanted, o.fetching, o.limit = false, true, 1+o.useless
	request := bus.OutboundGetRequest{
		Limit: new(o.limit), MaxRetries: new(backoff.OutboundAttempts), Claimant: s.Claimant, Origin: s.Origin,
	}
	return func() {
		var got answer
		got.err = s.Requester.Request(ctx, bus.OutboundGet, request, &got.lines)
		if ctx.Err() == nil {
			o.answers <- got // it has room for the one that is under way
		}
	}
}

func (s *Speaker) fetched(got answer) {
	o := &s.outbound
	o.fetching, o.lines = false, got.lines
	switch {
	case got.err != nil && !o.failing:
		s.Log.Warn("cannot fetch outbound messages; continuing without them", "error", got.err)
	case got.err == nil && o.failing:
		s.Log.Info("outbound messages can be fetched again")
	}
	o.failing = got.err != nil
	o.useless = 0
	// Where every line was useless there may be others behind them.
	o.wanted = len(got.lines) > 0 && len(got.lines) >= o.limit
}

// beginLine begins with the next line that was handed out.
func (s *Speaker) beginLine(now time.Time) {
	o := &s.outbound
	m := o.lines[0]
	o.lines = o.lines[1:]
	l, due, safe := s.Tracker.claim(m, now)
	switch {
	case !due:
		o.useless++
		s.reportAgain(l, now)
	case !safe:
		s.fail(l, Result{
			Outcome: Doubtful, Reason: "a bot that claimed the line may have said it, and the chat history is too short to tell",
		}, now)
	case l.state == said:
		s.reportSaid(l, now)
	default:
		s.attempts = append(s.attempts, partOf(l))
	}
}

func partOf(l *line) *attempt {
	return &attempt{message: Message{Text: l.parts[l.next]}, line: l, part: l.next}
}

// withoutPermission ends an attempt at a line that the bot may not say. While that is not sure, the line stays
// claimed.
func (s *Speaker) withoutPermission(a *attempt, now time.Time) {
	reason := "the bot may not chat in the channel"
	switch s.permission.settled(s.Settle, now) {
	case PermissionMuted:
		s.finish(Result{Outcome: Muted, Reason: reason}, nil)
	case PermissionRankTooLow:
		s.finish(Result{Outcome: Forbidden, Reason: reason}, nil)
	default:
		s.drop(a, nil)
	}
}

// partDone goes on with a line after an attempt at one of its parts.
func (s *Speaker) partDone(a *attempt, got Result) {
	now, l := time.Now(), a.line
	switch {
	case got.Outcome == Gone:
		l.on(disconnected) // nothing if the part was not sent
		return
	case got.Outcome != Said:
		s.fail(l, got, now)
		return
	case l.next == a.part: // not if a late echo confirmed it while this attempt waited
		l.markAppeared()
		if l.state == said {
			s.reportSaid(l, now)
		}
	}
	if l.state == claimed {
		s.attempts = append(s.attempts, partOf(l))
	}
}

// partAppeared takes a line of which a missing part appeared after all. Nil: of none.
func (s *Speaker) partAppeared(l *line) {
	if l != nil && l.state == said {
		s.reportSaid(l, time.Now())
	}
}

// reportSaid reports a line as sent, and counts it the first time.
func (s *Speaker) reportSaid(l *line, now time.Time) {
	if l.reportedAt.IsZero() {
		s.Count(Said)
		s.Log.Info("said a line of the outbound queue", "id", l.id)
	}
	s.outbound.wanted = true
	l.reportedAt = now
	origin := s.Origin
	origin.Timestamp.Time = now
	s.Publisher.Publish(bus.OutboundSent, s.EventID(now), bus.OutboundSentPayload{
		MessageID: &l.id, MessageTimestamp: l.enqueuedAt, Origin: origin,
	})
}

// reportAgain reports a line again that is handed out although it was said: the report can be lost on its way to a
// service that confirms none. Usually it is only under way, so it is not repeated at every poll.
func (s *Speaker) reportAgain(l *line, now time.Time) {
	if l.state == said && now.Sub(l.reportedAt) >= reportAgainPolls*s.Poll {
		s.reportSaid(l, now)
	}
}

// reportAgainPolls is how many polls a report of a line that was said may take.
const reportAgainPolls = 15

// fail reports a failed attempt. The service decides when the line is handed out again, and the line itself waits as
// long in case the service does not know of the failure.
func (s *Speaker) fail(l *line, got Result, now time.Time) {
	permanent := l.markFailed(got.Outcome, now)
	s.Count(got.Outcome)
	s.Log.Warn("a line of the outbound queue was not said", "id", l.id, "outcome", got.Outcome, "reason", got.Reason,
		"permanent", permanent)
	s.outbound.wanted = true
	origin := s.Origin
	origin.Timestamp.Time = now
	s.Publisher.Publish(bus.OutboundFailed, s.EventID(now), bus.OutboundFailedPayload{
		MessageID: &l.id, MessageTimestamp: l.enqueuedAt, Error: got.String(), Permanent: permanent,
		RetryCount: &l.retryCount, Origin: origin,
	})
}
