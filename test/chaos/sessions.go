package chaos

import (
	"fmt"
	"strings"
	"time"
)

const (
	// sessionGap is the longest absence that does not end a session in the store.
	sessionGap = int64(time.Minute / time.Millisecond)
	// sessionSlack is the tolerance for the limits of sessions. A bot that received nothing during a fault learns
	// afterwards who has joined and left meanwhile.
	sessionSlack = int64(30 * time.Second / time.Millisecond)
)

// compareSessions compares the stored sessions with the user list. The time that a user spent in the channel together
// with the bot must be in a session, and no session may extend beyond the user's stays, short absences included.
func (v *Findings) compareSessions(seen Seen, stored Stored) {
	seen.Entries = seen.movements() // each user's stays are looked for in all of them
	sessions := map[string][]interval{}
	for _, user := range stored.Users {
		name := strings.ToLower(user.Username)
		sessions[name] = append(sessions[name], v.intervals(seen, user)...)
	}
	bot := seen.stays(seen.Bot)
	for _, name := range seen.people() {
		stays, have := seen.stays(name), sessions[strings.ToLower(name)]
		delete(sessions, strings.ToLower(name))
		if missing := longest(without(common(stays, bot), have)); missing.length() > sessionSlack {
			v.WrongSessions = append(v.WrongSessions, name+" was in the channel and has no session: "+missing.String())
		}
		if excess := longest(without(have, merged(stays, sessionGap))); excess.length() > sessionSlack {
			v.WrongSessions = append(v.WrongSessions, name+" has a session and was not in the channel: "+excess.String())
		}
	}
	for name, rest := range sessions {
		if len(rest) > 0 {
			v.WrongSessions = append(v.WrongSessions, name+" has sessions and never joined")
		}
	}
}

// intervals returns a user's sessions. An open session of a user who has left is an error, however short.
func (v *Findings) intervals(seen Seen, user StoredUser) (all []interval) {
	stays := seen.stays(user.Username)
	for _, s := range user.Sessions {
		if s.Leave == 0 {
			s.Leave = seen.End
			if last := len(stays) - 1; last >= 0 && stays[last].to < seen.End {
				v.WrongSessions = append(v.WrongSessions,
					user.Username+" left at "+clock(stays[last].to)+" and has an open session")
				s.Leave = max(stays[last].to, s.Join)
			}
		}
		all = append(all, interval{s.Join, s.Leave})
	}
	return all
}

// String returns the start and the length, for reports.
func (i interval) String() string {
	return fmt.Sprintf("%s for %s", clock(i.from), time.Duration(i.length())*time.Millisecond)
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04:05.000") }
