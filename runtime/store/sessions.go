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

// Watch is a stay of a bot in a channel: since when it knew who was there, and until when it is known to have
// been there.
type Watch struct{ Since, Until time.Time }

// Sessions says from when to when a user was there, oldest first. The facts may come in any order and
// from several bots, and so may the watches of the channel. The last session may be open: then its Leave is the
// zero time.
//
// A user who joins twice was there in between, since a bot that comes back tells everybody anew. One whom it does
// not tell has left unseen: their session ends when the bot before was last known to be there.
// A user who leaves without having joined has no session: nobody saw its start.
func Sessions(facts []Presence, watches []Watch) []Session {
	facts = append(slices.Clone(facts), unseen(facts, watches)...)
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

// afterAll is behind every id of an event.
const afterAll = "\xff"

// unseen are the leaves that no bot saw: at the beginning of every watch that does not find the user there.
func unseen(facts []Presence, watches []Watch) (leaves []Presence) {
	var joins []time.Time
	for _, fact := range facts {
		if fact.Joined {
			joins = append(joins, fact.At)
		}
	}
	slices.SortFunc(joins, time.Time.Compare)
	watches = slices.Clone(watches)
	slices.SortFunc(watches, func(a, b Watch) int { return a.Since.Compare(b.Since) })
	var watched time.Time // until when the watches before saw
	for _, watch := range watches {
		at, there := slices.BinarySearchFunc(joins, watch.Since, time.Time.Compare)
		if !there && at > 0 && !watched.IsZero() {
			left := earlier(watched, watch.Since)
			if last := joins[at-1]; last.After(left) {
				left = last // seen by one that is not known to have lived so long
			}
			leaves = append(leaves, Presence{ID: afterAll, At: left})
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
