package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff returns pauses that double from Min to Max. Half of each pause is random, so that many clients do not come
// back to a restarted server at the same moment. It is not safe for concurrent use.
type Backoff struct {
	// Min is the longest first pause, Max the longest of all. Both are required.
	Min, Max time.Duration

	attempts int
}

// maxDoublings keeps the shift within a Duration; Max ends the growth long before.
const maxDoublings = 30

// Next returns the pause before the next attempt: between a half and the whole of the current step.
func (b *Backoff) Next() time.Duration {
	step := b.Max
	if b.attempts < maxDoublings && b.Min<<b.attempts>>b.attempts == b.Min {
		step = min(step, b.Min<<b.attempts)
	}
	b.attempts++
	return step/2 + Jitter(step/2)
}

// Reset starts the sequence again. Call it after a success.
func (b *Backoff) Reset() { b.attempts = 0 }

// Jitter returns a random duration from 0 to limit.
func Jitter(limit time.Duration) time.Duration {
	return rand.N(max(limit, 0) + 1) //nolint:gosec // spreads clients over time, guards no secret
}

// Sleep waits for d and reports whether it passed before ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	Wait(ctx, d, nil)
	return ctx.Err() == nil
}

// Wait returns when d has passed, when wake is closed or receives, or when ctx ends, whichever comes first. A nil wake
// never does.
func Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// OutboundAttempts is how many attempts an outbound line has before it is abandoned: the first one, and one after each
// OutboundDelay. The bot and the database apply the same rule, the bot also for a database service that takes no
// reports on failures.
const OutboundAttempts = 4

// OutboundDelay returns how long an outbound line waits after its last failure: 2, 4 and 8 minutes.
func OutboundDelay(failures int) time.Duration {
	return time.Minute << min(max(failures, 1), OutboundAttempts-1)
}
