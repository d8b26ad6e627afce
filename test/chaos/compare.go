package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// Stored is the channel's rows in the database, as `rosey db show --output json` prints them.
type Stored struct {
	Chat  []Line       `json:"chat"`
	Users []StoredUser `json:"users"`
}

// StoredUser is a user's row with their sessions.
type StoredUser struct {
	Username string          `json:"username"`
	Lines    int             `json:"lines"`
	Sessions []StoredSession `json:"sessions"`
}

// StoredSession is in Unix milliseconds. Leave is 0 while the user is in the channel.
type StoredSession struct {
	Join  int64 `json:"join"`
	Leave int64 `json:"leave"`
}

// Uncount takes lines that the retention has removed out of the users' counters, which count them still: they were not
// said in the channel during the run. removed has their numbers by user.
func (s Stored) Uncount(removed map[string]int) {
	for i, user := range s.Users {
		s.Users[i].Lines -= removed[user.Username]
	}
}

// Findings are the differences between the channel and the database. All but Said, Stored, Unseen, Evictions and
// NeverSent must be empty.
type Findings struct {
	Said, Stored int
	// Unseen is the number of lines that no replica could see: said in the bot's absence, and not among the last 15
	// when it came back.
	Unseen int
	// Evictions is how often one replica's login disconnected another, as a new leader does to one that is cut off.
	Evictions int

	Lost          []Line   // must be stored and are not
	Duplicated    []Line   // stored more than once
	Misattributed []Line   // stored for another user
	Invented      []Line   // stored and never said
	WrongCounts   []string // users whose line counter differs from the number of their stored lines
	WrongSessions []string
	Overlaps      []int64  // when two replicas were in the user list at once, in Unix milliseconds
	SentTwice     []string // outbound lines that were said more than once
	// NeverSent are outbound lines that were accepted and not said. If a bot is killed between claiming a line and
	// reporting it, and the chat history no longer shows whether it was said, the line is abandoned: a line that is
	// said twice cannot be undone.
	NeverSent []string
}

// Compare compares a database with the log of the CyTube server. outbound has the lines that the service has accepted
// into the outbound queue; each text occurs once.
func Compare(seen Seen, stored Stored, outbound []string) Findings {
	v := Findings{Overlaps: seen.overlaps(), Evictions: len(seen.evictions())}
	v.compareLines(seen, stored)
	v.compareCounts(stored)
	v.compareSessions(seen, stored)
	v.compareOutbound(seen, outbound)
	return v
}

// CompareLines is Compare for lines alone, for a database into which others have written too.
func CompareLines(seen Seen, stored Stored) (v Findings) {
	v.compareLines(seen, stored)
	return v
}

func (v *Findings) compareLines(seen Seen, stored Stored) {
	said := seen.Lines()
	v.Said, v.Stored = len(said), len(stored.Chat)
	type shown struct {
		time int64
		text string
	}
	// A line may be said several times in one millisecond. It is stored as often.
	saidLines, speakers := map[Line]int{}, map[shown]bool{}
	for _, line := range said {
		saidLines[line]++
		speakers[shown{line.Time, line.Text}] = true
	}
	have := map[Line]int{}
	for _, line := range stored.Chat {
		have[line]++
		switch {
		case have[line] > max(saidLines[line], 1):
			v.Duplicated = append(v.Duplicated, line)
		case saidLines[line] > 0:
		case speakers[shown{line.Time, line.Text}]:
			v.Misattributed = append(v.Misattributed, line)
		default:
			v.Invented = append(v.Invented, line)
		}
	}
	expected := seen.expectedLines()
	for _, line := range said {
		switch {
		case have[line] > 0:
		case expected[line]:
			v.Lost = append(v.Lost, line)
		default:
			v.Unseen++
		}
	}
}

// compareCounts compares the users' line counters with the stored lines. It finds lines that are stored once but
// counted twice or not at all.
func (v *Findings) compareCounts(stored Stored) {
	lines, counted := map[string]int{}, map[string]int{}
	for _, line := range stored.Chat {
		lines[strings.ToLower(line.User)]++
	}
	for _, user := range stored.Users {
		counted[strings.ToLower(user.Username)] += user.Lines
	}
	for _, name := range slices.Sorted(mapKeys(lines, counted)) {
		if lines[name] != counted[name] {
			v.WrongCounts = append(v.WrongCounts,
				fmt.Sprintf("%s: %d lines stored, %d counted", name, lines[name], counted[name]))
		}
	}
}

// mapKeys yields the keys of both, each once.
func mapKeys(a, b map[string]int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		for name := range b {
			if _, both := a[name]; !both && !yield(name) {
				return
			}
		}
	}
}

func (v *Findings) compareOutbound(seen Seen, outbound []string) {
	said := map[string]int{}
	for _, line := range seen.Lines() {
		if strings.EqualFold(line.User, seen.Bot) {
			said[line.Text]++
		}
	}
	for _, text := range outbound {
		switch n := said[text]; {
		case n == 0:
			v.NeverSent = append(v.NeverSent, text)
		case n > 1:
			v.SentTwice = append(v.SentTwice, text)
		}
	}
}

// Complete reports whether there are no differences and all outbound lines have been said.
func (v Findings) Complete() bool { return v.Clean() && len(v.NeverSent) == 0 }

// Clean reports whether there are no mistakes, apart from lines that were never sent, which Result.Clean checks.
func (v Findings) Clean() bool {
	return len(v.Lost)+len(v.Duplicated)+len(v.Misattributed)+len(v.Invented)+len(v.WrongCounts)+
		len(v.WrongSessions)+len(v.Overlaps)+len(v.SentTwice) == 0
}
