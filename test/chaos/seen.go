package chaos

import (
	"slices"
	"strings"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// replayed is how many lines CyTube repeats to whoever joins.
const replayed = 15

// Line is a line of chat: what CyTube showed, or what a database has.
type Line struct {
	Time int64  `json:"time"` // Unix milliseconds
	User string `json:"username"`
	Text string `json:"text"` // HTML as CyTube shows it
}

// Seen is what happened in the channel as the CyTube server saw it, oldest first.
type Seen struct {
	Entries []simulator.Entry
	// Bot is our name in the channel.
	Bot string
	// End is when the log was read, in Unix milliseconds: whoever is there then is there until End.
	End int64
}

// lines are all that were said.
func (s Seen) lines() (said []Line) {
	for _, e := range s.Entries {
		if e.Kind == simulator.KindChat {
			said = append(said, Line{e.Time, e.User, e.Text})
		}
	}
	return said
}

// due are the lines that have to be stored: those said while our name was in the user list, and of the others those
// that were among the last 15 when we came back.
func (s Seen) due() map[Line]bool {
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
		case s.isOurs(e) && e.Kind == simulator.KindJoin:
			present = true
			for _, line := range last {
				due[line] = true
			}
		case s.isOurs(e) && e.Kind == simulator.KindLeave:
			present = false
		}
	}
	return due
}

func (s Seen) isOurs(e simulator.Entry) bool { return strings.EqualFold(e.User, s.Bot) }

// stays are when somebody was in the user list.
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

// people are all who were ever in the user list, ourselves included.
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

// doubles are the moments at which a second of ours came into the user list beside the first.
func (s Seen) doubles() (times []int64) {
	inside := 0
	for _, e := range s.Entries {
		if !s.isOurs(e) {
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

// evictions are the moments at which one of ours threw out another.
func (s Seen) evictions() (times []int64) {
	for _, e := range s.Entries {
		if s.isOurs(e) && e.Kind == simulator.KindKick && strings.Contains(e.Text, "Duplicate login") {
			times = append(times, e.Time)
		}
	}
	return times
}
