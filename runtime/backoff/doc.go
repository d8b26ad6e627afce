// Package backoff computes the pauses between attempts and waits for them.
//
// Everything in the runtime that tries again, polls or waits to be woken uses this package, so that every pause ends
// with its context.
//
// [Backoff] is the sequence of pauses of one operation: exponential, with jitter, as in "Exponential Backoff And
// Jitter" of the AWS Architecture Blog, except that half of each pause is fixed, so that an attempt never follows at
// once:
//
//	pause := backoff.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
//	for attempt() != nil {
//		if !backoff.Sleep(ctx, pause.Next()) {
//			return ctx.Err()
//		}
//	}
//
// A Backoff that lives longer than one operation is Reset after a success. [Sleep] waits for a pause or the end of a
// context, [Wait] also for a signal; as the condition of a loop, Sleep makes a poll.
//
// [OutboundAttempts] and [OutboundDelay] are a schedule that bot and database share: the attempts to send an outbound
// line, which may be made by different processes and are counted in its row.
package backoff
