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

// Watches are the watches of a channel, prepared once for the sessions of all its users.
type Watches struct {
	since   []time.Time // when each began, ordered
	watched []time.Time // the latest end of those before each
}

// NewWatches prepares watches, which are in any order.
func NewWatches(all []Watch) Watches {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Watch) int { return a.Since.Compare(b.Since) })
	var prepared Watches
	var watched time.Time
	for _, watch := range all {
		prepared.since, prepared.watched = append(prepared.since, watch.Since), append(prepared.watched, watched)
		if watch.Until.After(watched) {
			watched = watch.Until
		}
	}
	return prepared
}

// after returns the first watch that began after a time, but not the first of all: nobody had watched before it.
func (w Watches) after(at time.Time) (number int, found bool) {
	number, _ = slices.BinarySearchFunc(w.since, at, func(since, at time.Time) int {
		if since.After(at) {
			return 1
		}
		return -1
	})
	number = max(number, 1)
	return number, number < len(w.since)
}

// MaxPresence is how many joins and leaves of a user, and how many watches of a channel, are read for the user's
// sessions: the newest. That is years of them, and bounds the memory that a request needs.
const MaxPresence = 20_000

// sessionGap is the longest absence that does not end a session: a reload, a lost connection, or a restart of the bot,
// which records that everyone left and joined.
const sessionGap = time.Minute

// Sessions derives a user's sessions, oldest first, from their joins and leaves and from the watches of the channel.
// They are in any order. The last session may be open.
//
// A user who joins twice was there in between, since a bot that joins the channel records everyone who is there as
// joined. If a user is not among them, they left while no bot watched: their session ends when the previous bot was
// last known to be there. A user who leaves without having joined has no session, since its start is unknown.
func Sessions(presence []Presence, watches Watches) []Session {
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

// unseenLeaves returns the leaves that no bot saw: where a watch begins without the user, who had joined before.
func unseenLeaves(presence []Presence, watches Watches) (leaves []Presence) {
	var joins []time.Time
	for _, event := range presence {
		if event.Joined {
			joins = append(joins, event.At)
		}
	}
	slices.SortFunc(joins, time.Time.Compare)
	for i, join := range joins {
		number, found := watches.after(join)
		if !found || i+1 < len(joins) && !watches.since[number].Before(joins[i+1]) {
			continue // the next join is the newest before that watch, or is what that bot has found
		}
		left := earlier(watches.watched[number], watches.since[number])
		if join.After(left) {
			left = join // the bot that saw the join has not reported its status since
		}
		leaves = append(leaves, Presence{ID: lastID, At: left})
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
