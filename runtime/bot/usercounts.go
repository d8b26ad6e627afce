package bot

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// userCounts decides when the numbers of users are sampled: once in each slot of the clock, which is five minutes long.
// It outlives the sessions, so that sessions of any length yield samples.
//
// A slot in which the bot begins to lead is left to whoever led before. With that, and with an ID of the slot's own, no
// slot has two samples, whichever bot or process takes them.
type userCounts struct {
	every time.Duration
	// done is the slot of the last sample, or the one in which the bot began to lead.
	done time.Time
}

// begin notes that the bot begins to lead.
func (u *userCounts) begin(now time.Time) { u.done = u.slot(now) }

// slot returns the beginning of the slot of a time.
func (u *userCounts) slot(at time.Time) time.Time { return at.Truncate(u.every) }

// due reports whether the present slot has no sample yet. It compares slots for equality: a clock that is set back must
// not stop the samples until it has caught up.
func (u *userCounts) due(now time.Time) bool { return !u.slot(now).Equal(u.done) }

// next returns the time until the next slot begins.
func (u *userCounts) next(now time.Time) time.Duration {
	return u.slot(now).Add(u.every).Sub(now.Round(0))
}

// maxCountDelay is how long a session waits for the server's number of connections. CyTube sends it every ten seconds.
const maxCountDelay = 15 * time.Second

// sampleUsers publishes the numbers of users if a sample is due and they are known. A session that begins in a slot
// without a sample takes it as soon as it knows them.
func (s *session) sampleUsers(ctx context.Context, now time.Time) {
	known := s.room.ConnectedKnown() || now.Sub(s.room.UsersSince) > maxCountDelay
	if !s.joined || !known || !s.counts.due(now) {
		return
	}
	slot := s.counts.slot(now)
	s.counts.done = slot
	s.publish(ctx, bus.StatsUserCount, bus.UserCountID(s.channelOrigin(), slot), bus.UserCountPayload{
		ChatCount: len(s.room.Users), ConnectedCount: s.room.Connected(), Origin: s.origin(now),
	})
}
