package bot

import (
	"context"
	"math/rand/v2"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// joinBackoff says how long to wait before the next try: longer with each failure, and spread, so that
// many bots do not come back to a restarted server in the same moment.
type joinBackoff struct {
	timings  Timings
	failures int
	// due is when the next try may begin, and because why it has to wait: a bot that loses the lock while
	// it waits and gets it again must not begin anew.
	due     time.Time
	because *cytube.Error
}

func newJoinBackoff(timings Timings) *joinBackoff { return &joinBackoff{timings: timings} }

// lasted tells how long a session was, including the attempt to begin it.
func (b *joinBackoff) lasted(session time.Duration) {
	if session >= b.timings.Steady {
		b.failures = 0
	}
}

// next is delay, and notes when it is over.
func (b *joinBackoff) next(problem *cytube.Error) time.Duration {
	wait := b.delay(problem)
	b.due, b.because = time.Now().Add(wait), problem
	return wait
}

// waited notes the end of a wait, unless ctx ended it.
func (b *joinBackoff) waited(ctx context.Context) {
	if ctx.Err() == nil {
		b.due = time.Time{}
	}
}

// delay is the wait after a problem.
func (b *joinBackoff) delay(problem *cytube.Error) time.Duration {
	if isAbsent(problem.Reason) {
		return b.timings.Secrets // a look at a file bothers no server
	}
	longest := b.timings.RetryMax
	if b.failures < 16 {
		longest = min(longest, b.timings.RetryMin<<b.failures)
	}
	b.failures++
	wait := longest/2 + rand.N(longest/2+1) //nolint:gosec // spreads bots over time, guards nothing
	return max(wait, problem.RetryAfter, b.least(problem.Reason))
}

// least is what the server's rules ask for where its words do not.
func (b *joinBackoff) least(reason status.Reason) time.Duration {
	switch reason {
	case status.ReasonConnectionLimited, status.ReasonDuplicateLogin:
		return b.timings.ConnectionLimit
	case status.ReasonKicked:
		return b.timings.Kick
	case status.ReasonBanned:
		return b.timings.Ban
	default:
		return 0
	}
}

// wait waits for the next try. It ends early when a password that was the problem has changed.
func (b *Bot) wait(ctx context.Context, delay time.Duration, reason status.Reason, used passwords) {
	over := time.NewTimer(delay)
	defer over.Stop()
	look := time.NewTicker(b.timings.Secrets)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-look.C:
		}
		if !aboutPasswords(reason) {
			continue
		}
		if now, err := b.readPasswords(); err == nil && now != used {
			return
		}
	}
}

// aboutPasswords is true for what another password can mend.
func aboutPasswords(reason status.Reason) bool {
	return reason == status.ReasonLoginRefused || reason == status.ReasonChannelPasswordWrong
}
