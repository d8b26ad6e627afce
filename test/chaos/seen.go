package chaos

import (
	"slices"
	"strings"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// replayed is the number of lines that CyTube repeats to a user who joins.
const replayed = 15

// Line is a line of chat, as CyTube showed it or as a database has it.
type Line struct {
	Time int64  `json:"time"` // Unix milliseconds
	User string `json:"username"`
	Text string `json:"html"` // as CyTube shows it
}

// Seen is what happened in the channel as the CyTube server saw it, oldest first.
type Seen struct {
	Entries []simulator.Entry
	// Bot is the bot's name in the channel.
	Bot string
	// End is when the log was read, in Unix milliseconds: a user who is in the channel then has stayed until End.
	End int64
}

// Lines returns all lines that were said.
func (s Seen) Lines() (said []Line) {
	for _, e := range s.Entries {
		if e.Kind == simulator.KindChat {
			said = append(said, Line{e.Time, e.User, e.Text})
		}
	}
	return said
}

// expectedLines returns the lines that must be stored: those said while the bot's name was in the user list, and those
// of the others that were among the last 15 when the bot came back.
func (s Seen) expectedLines() map[Line]bool {
	due := map[Line]bool{}
	var last []Line
	present := false
	for _, e := range s.Entries {
		switch {
		case e.Kind == simulator.KindChat:
			line := Line{e.Time, e.User, e.Text}
			last = append(last, line)
			last = last[max(0, len(last)-replayed):]
			if present {
				due[line] = true
			}
		case s.isBot(e) && e.Kind == simulator.KindJoin:
			present = true
			for _, line := range last {
				due[line] = true
			}
		case s.isBot(e) && e.Kind == simulator.KindLeave:
			present = false
		}
	}
	return due
}

// Present reports whether the bot is in the user list.
func (s Seen) Present() bool {
	stays := s.stays(s.Bot)
	return len(stays) > 0 && stays[len(stays)-1].to >= s.End
}

func (s Seen) isBot(e simulator.Entry) bool { return strings.EqualFold(e.User, s.Bot) }

// movements returns the entries of users who join or leave.
func (s Seen) movements() (entries []simulator.Entry) {
	for _, e := range s.Entries {
		if e.Kind == simulator.KindJoin || e.Kind == simulator.KindLeave {
			entries = append(entries, e)
		}
	}
	return entries
}

// stays returns the intervals in which a user was in the user list.
func (s Seen) stays(user string) (stays []interval) {
	var from int64
	inside := 0
	for _, e := range s.Entries {
		if !strings.EqualFold(e.User, user) {
			continue
		}
		switch e.Kind {
		case simulator.KindJoin:
			if inside == 0 {
				from = e.Time
			}
			inside++
		case simulator.KindLeave:
			inside--
			if inside == 0 {
				stays = append(stays, interval{from, e.Time})
			}
		default:
		}
	}
	if inside > 0 {
		stays = append(stays, interval{from, s.End})
	}
	return stays
}

// people returns all users who were ever in the user list, including the bot.
func (s Seen) people() (names []string) {
	known := map[string]bool{}
	for _, e := range s.Entries {
		if e.Kind == simulator.KindJoin && !known[e.User] {
			known[e.User] = true
			names = append(names, e.User)
		}
	}
	slices.Sort(names)
	return names
}

// overlaps returns the times at which a second replica of the bot joined while another was in the user list.
func (s Seen) overlaps() (times []int64) {
	inside := 0
	for _, e := range s.Entries {
		if !s.isBot(e) {
			continue
		}
		switch e.Kind {
		case simulator.KindJoin:
			inside++
			if inside > 1 {
				times = append(times, e.Time)
			}
		case simulator.KindLeave:
			inside--
		default:
		}
	}
	return times
}

// evictions returns the times at which one replica's login disconnected another.
func (s Seen) evictions() (times []int64) {
	for _, e := range s.Entries {
		if s.isBot(e) && e.Kind == simulator.KindKick && strings.Contains(e.Text, "Duplicate login") {
			times = append(times, e.Time)
		}
	}
	return times
}
