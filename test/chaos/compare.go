package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// Stored is what the database has of the channel, as `rosey db show --output json` prints it.
type Stored struct {
	Chat  []Line       `json:"chat"`
	Users []StoredUser `json:"users"`
}

// StoredUser is what the database says about somebody.
type StoredUser struct {
	Username string          `json:"username"`
	Lines    int             `json:"lines"`
	Sessions []StoredSession `json:"sessions"`
}

// StoredSession is in Unix milliseconds. Leave is 0 while they are there.
type StoredSession struct {
	Join  int64 `json:"join"`
	Leave int64 `json:"leave"`
}

// Verdict is what is wrong with a database, and what of a run is beyond anybody's reach. All but Said, Stored, Unseen,
// Evictions and NeverSent must be empty.
type Verdict struct {
	Said, Stored int
	// Unseen counts the lines that nobody of ours could see: said in our absence, and not among the last 15 when we
	// came back.
	Unseen int
	// Evictions counts how often one of ours threw out another, as a new leader does with one that is cut off.
	Evictions int

	Lost          []Line   // had to be stored and are not
	Duplicated    []Line   // are stored more than once
	Misattributed []Line   // were said by somebody else
	Invented      []Line   // were never said
	WrongCounts   []string // users whose number of lines is not that of their stored lines
	WrongSessions []string
	Doubles       []int64  // when two of ours were in the user list at once, in Unix milliseconds
	SentTwice     []string // outbound lines that were said more than once
	// NeverSent are outbound lines that were accepted and not said. A bot that dies between claiming a line and
	// reporting it leaves one of which nobody can know whether it was said, once the channel has gone on; it is given
	// up, since a line that was said twice cannot be taken back.
	NeverSent []string
}

// Compare judges a database by what the CyTube server saw. outbound are the lines that the service accepted to be
// said by the bot; each text is there once.
func Compare(seen Seen, stored Stored, outbound []string) Verdict {
	v := Verdict{Doubles: seen.doubles(), Evictions: len(seen.evictions())}
	v.judgeLines(seen, stored)
	v.judgeCounts(stored)
	v.judgeSessions(seen, stored)
	v.judgeOutbound(seen, outbound)
	return v
}

func (v *Verdict) judgeLines(seen Seen, stored Stored) {
	said := seen.lines()
	v.Said, v.Stored = len(said), len(stored.Chat)
	type shown struct {
		time int64
		text string
	}
	saidLines, speakers := map[Line]bool{}, map[shown]bool{}
	for _, line := range said {
		saidLines[line] = true
		speakers[shown{line.Time, line.Text}] = true
	}
	have := map[Line]int{}
	for _, line := range stored.Chat {
		have[line]++
		switch {
		case have[line] > 1:
			v.Duplicated = append(v.Duplicated, line)
		case saidLines[line]:
		case speakers[shown{line.Time, line.Text}]:
			v.Misattributed = append(v.Misattributed, line)
		default:
			v.Invented = append(v.Invented, line)
		}
	}
	due := seen.due()
	for _, line := range said {
		switch {
		case have[line] > 0:
		case due[line]:
			v.Lost = append(v.Lost, line)
		default:
			v.Unseen++
		}
	}
}

// judgeCounts holds the users' numbers of lines against the stored lines: a line that is counted twice or not at all
// shows here though it is stored once.
func (v *Verdict) judgeCounts(stored Stored) {
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

func (v *Verdict) judgeOutbound(seen Seen, outbound []string) {
	said := map[string]int{}
	for _, line := range seen.lines() {
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

// Settled is true when nothing is wrong and nothing is left to be done.
func (v Verdict) Settled() bool { return v.Clean() && len(v.NeverSent) == 0 }

// Clean is true when nothing is wrong. Of lines that were never sent Result.Clean is the judge.
func (v Verdict) Clean() bool {
	return len(v.Lost)+len(v.Duplicated)+len(v.Misattributed)+len(v.Invented)+len(v.WrongCounts)+
		len(v.WrongSessions)+len(v.Doubles)+len(v.SentTwice) == 0
}
