package store

import (
	"cmp"
	"slices"
	"time"
)

// User is what is known about a user of a channel.
type User struct {
	// Username is the latest spelling.
	Username            string
	FirstSeen, LastSeen time.Time
	Lines               int
	// Connected is the total time of all sessions, an open one up to LastSeen, and of imported data.
	Connected time.Duration
	// Sessions are ordered from oldest to newest.
	Sessions []Session
	// SessionStart is when the open session began; nil if there is none.
	SessionStart *time.Time
}

// Session is a time in which a user was in the channel. Leave is the zero time while the session is open.
type Session struct{ Join, Leave time.Time }

// Length returns how long a session was that has ended.
func (s Session) Length() time.Duration { return s.Leave.Sub(s.Join) }

// Presence is a stored UserJoined or UserLeft.
type Presence struct {
	ID     string
	At     time.Time
	Joined bool
}

// Watch is a stay of a bot in a channel: since when it knew who was there, and until when it is known to have been
// there.
type Watch struct{ Since, Until time.Time }

// MaxPresence is how many joins and leaves of a user, and how many watches of a channel, are read for the user's
// sessions: the newest. That is years of them, and bounds the memory that a request needs.
const MaxPresence = 20_000

// sessionGap is the longest absence that does not end a session: a reload, a lost connection, or a restart of the bot,
// which records that everyone left and joined.
const sessionGap = time.Minute

// Sessions derives a user's sessions, oldest first, from their joins and leaves and from the watches of the channel,
// all in any order. The last session may be open.
//
// A user who joins twice was there in between, since a bot that joins the channel records everyone who is there as
// joined. If a user is not among them, they left while no bot watched: their session ends when the previous bot was
// last known to be there. A user who leaves without having joined has no session, since its start is unknown.
func Sessions(presence []Presence, watches []Watch) []Session {
	presence = append(slices.Clone(presence), unseenLeaves(presence, watches)...)
	slices.SortFunc(presence, func(a, b Presence) int {
		// The IDs order the events of a millisecond: a reload is a leave and a join at the same time.
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	var sessions []Session
	for _, event := range presence {
		last := len(sessions) - 1
		open := last >= 0 && sessions[last].Leave.IsZero()
		switch {
		case event.Joined && open:
		case event.Joined && last >= 0 && event.At.Sub(sessions[last].Leave) <= sessionGap:
			sessions[last].Leave = time.Time{}
		case event.Joined:
			sessions = append(sessions, Session{Join: event.At})
		case open:
			sessions[last].Leave = event.At
		}
	}
	return sessions
}

// lastID sorts after the ID of every event.
const lastID = "\xff"

// unseenLeaves returns the leaves that no bot saw: one for each watch that begins without the user.
func unseenLeaves(presence []Presence, watches []Watch) (leaves []Presence) {
	var joins []time.Time
	for _, event := range presence {
		if event.Joined {
			joins = append(joins, event.At)
		}
	}
	slices.SortFunc(joins, time.Time.Compare)
	watches = slices.Clone(watches)
	slices.SortFunc(watches, func(a, b Watch) int { return a.Since.Compare(b.Since) })
	var watched time.Time // the latest end of the watches so far
	for _, watch := range watches {
		at, present := slices.BinarySearchFunc(joins, watch.Since, time.Time.Compare)
		if !present && at > 0 && !watched.IsZero() {
			left := earlier(watched, watch.Since)
			if last := joins[at-1]; last.After(left) {
				left = last // the bot that saw the join has not reported its status since
			}
			leaves = append(leaves, Presence{ID: lastID, At: left})
		}
		if watch.Until.After(watched) {
			watched = watch.Until
		}
	}
	return leaves
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// WithSessions returns u with the fields that are derived from its sessions. LastSeen must be set.
func (u User) WithSessions(sessions []Session) User {
	u.Sessions = sessions
	for _, session := range sessions {
		end := session.Leave
		if end.IsZero() {
			u.SessionStart = &session.Join
			end = u.LastSeen
		}
		u.Connected += end.Sub(session.Join)
	}
	return u
}
