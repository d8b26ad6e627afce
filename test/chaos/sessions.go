package chaos

import (
	"fmt"
	"strings"
	"time"
)

const (
	// sessionGap is the longest absence that does not end a session, by the store's rule.
	sessionGap = int64(time.Minute / time.Millisecond)
	// sessionSlack is how much a session may be off. A bot that was deaf for a fault's length learns of who came and
	// went afterwards; nobody's session may be off by more.
	sessionSlack = int64(30 * time.Second / time.Millisecond)
)

// judgeSessions holds the stored sessions against the user list. What we could see of somebody's stay has to be in a
// session, and no session may reach beyond the stays, short absences included.
func (v *Verdict) judgeSessions(seen Seen, stored Stored) {
	sessions := map[string][]interval{}
	for _, user := range stored.Users {
		name := strings.ToLower(user.Username)
		sessions[name] = append(sessions[name], v.intervals(seen, user)...)
	}
	ours := seen.stays(seen.Bot)
	for _, name := range seen.people() {
		stays, have := seen.stays(name), sessions[strings.ToLower(name)]
		delete(sessions, strings.ToLower(name))
		if missing := longest(without(common(stays, ours), have)); missing.length() > sessionSlack {
			v.WrongSessions = append(v.WrongSessions, name+" was there and has no session: "+missing.String())
		}
		if excess := longest(without(have, merged(stays, sessionGap))); excess.length() > sessionSlack {
			v.WrongSessions = append(v.WrongSessions, name+" has a session and was not there: "+excess.String())
		}
	}
	for name, rest := range sessions {
		if len(rest) > 0 {
			v.WrongSessions = append(v.WrongSessions, name+" has sessions and never came")
		}
	}
}

// intervals are a user's sessions. One that does not end though they have gone is wrong, however short.
func (v *Verdict) intervals(seen Seen, user StoredUser) (all []interval) {
	stays := seen.stays(user.Username)
	for _, s := range user.Sessions {
		if s.Leave == 0 {
			s.Leave = seen.End
			if last := len(stays) - 1; last >= 0 && stays[last].to < seen.End {
				v.WrongSessions = append(v.WrongSessions,
					user.Username+" left at "+clock(stays[last].to)+" and has a session that does not end")
				s.Leave = max(stays[last].to, s.Join)
			}
		}
		all = append(all, interval{s.Join, s.Leave})
	}
	return all
}

// String is for reports: from when, for how long.
func (i interval) String() string {
	return fmt.Sprintf("%s for %s", clock(i.from), time.Duration(i.length())*time.Millisecond)
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04:05.000") }
