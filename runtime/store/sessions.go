package store

import (
	"cmp"
	"slices"
	"time"
)

// sessionGap is the longest absence that does not end a session: a reload, a lost connection, or a
// bot's restart, which sees everybody leave and join.
const sessionGap = time.Minute

// Presence is a stored UserJoined or UserLeft.
type Presence struct {
	ID     string
	At     time.Time
	Joined bool
}

// Sessions says from when to when a user was there, oldest first. The facts may come in any order and
// from several bots. The last session may be open: then its Leave is the zero time.
//
// A user who joins twice was there in between, since a bot that comes back tells everybody anew.
// A user who leaves without having joined has no session: nobody saw its start.
func Sessions(facts []Presence) []Session {
	facts = slices.Clone(facts)
	slices.SortFunc(facts, func(a, b Presence) int {
		// Within a millisecond the ids tell the order: a reload is a leave and a join at once.
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	var sessions []Session
	for _, fact := range facts {
		last := len(sessions) - 1
		open := last >= 0 && sessions[last].Leave.IsZero()
		switch {
		case fact.Joined && open:
		case fact.Joined && last >= 0 && fact.At.Sub(sessions[last].Leave) <= sessionGap:
			sessions[last].Leave = time.Time{}
		case fact.Joined:
			sessions = append(sessions, Session{Join: fact.At})
		case open:
			sessions[last].Leave = fact.At
		}
	}
	return sessions
}

// Session is a time in which a user was there. Leave is the zero time while they still are.
type Session struct{ Join, Leave time.Time }

// WithSessions fills in what User derives from sessions. LastSeen must be known.
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
