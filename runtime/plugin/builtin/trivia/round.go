package trivia

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// pause is the time before a question.
	pause = 5 * time.Second
	// maxHints is how many hints there are for a question, in equal parts of its time.
	maxHints = 2
	// maxIgnored is after how many questions without an answer a round ends: nobody is there.
	maxIgnored = 3
	// maxTries bounds how many people's choices are remembered for a question.
	maxTries = 1000
	// maxShown is how many people are named at the end.
	maxShown = 5
)

// points are those of a right answer to an easy question, by how many hints there were before.
var points = [maxHints + 1]int64{10, 7, 4}

// rules are what holds for a round.
type rules struct {
	time  time.Duration // for a question
	hints bool
}

// round is a number of questions one after the other. It is in the memory of this process alone. It knows no time of
// its own and says nothing: its methods return the lines that are to be said.
type round struct {
	by        string // who started it
	rules     rules
	questions []question
	at        int // the question that is open, or comes next
	players   map[string]*player
	ignored   int // how many questions were without an answer, one after the other
	ended     bool

	open bool
	next time.Time // when the next question comes, if none is open
	// said is when the open question was said. Zero: it waits to be.
	said  time.Time
	hints int // how many hints there were
	// gone are the choices that a hint has excluded.
	gone []int
	// tried are those who have chosen, in lower case.
	tried map[string]bool
}

// player is somebody who has answered a question of the round.
type player struct {
	name   string
	points int64
}

// newRound returns a round whose first question comes soon.
func newRound(by string, chosen []question, r rules, now time.Time) *round {
	return &round{by: by, rules: r, questions: chosen, players: map[string]*player{}, next: now.Add(pause)}
}

// current returns the question that is open, or comes next.
func (r *round) current() question { return r.questions[r.at] }

// step does what is due: it asks, gives hints, and ends a question whose time is over.
func (r *round) step(now time.Time) []string {
	switch {
	case r.ended:
	case !r.open && !now.Before(r.next):
		return r.ask()
	case r.open && !r.said.IsZero():
		return r.wait(now.Sub(r.said), now)
	}
	return nil
}

func (r *round) ask() []string {
	r.questions[r.at].choices = slices.Clone(r.current().choices) // the library has the question too
	shuffle(r.current().choices)
	r.open, r.said, r.hints, r.gone, r.tried = true, time.Time{}, 0, nil, map[string]bool{}
	return r.question()
}

// question returns the lines of the question that is open.
func (r *round) question() []string {
	one := r.current()
	line := fmt.Sprintf("❓ %d/%d ", r.at+1, len(r.questions))
	if one.category != "" {
		line += "(" + one.category + ") "
	}
	lines := []string{plugin.Cut(line+one.text, plugin.MaxLength)}
	if choices := one.choicesLine(); choices != "" {
		lines = append(lines, choices)
	}
	return lines
}

// wait returns what is said after a question was open for some time.
func (r *round) wait(elapsed time.Duration, now time.Time) []string {
	switch {
	case elapsed >= r.rules.time:
		r.ignored++
		return r.close(fmt.Sprintf("⌛ Time is up. It was: %s", r.current().answers[0]), now)
	case r.rules.hints && r.hints < maxHints && elapsed >= r.rules.time*time.Duration(r.hints+1)/(maxHints+1):
		return r.help()
	}
	return nil
}

// help returns the next hint: some letters of the answer, or a choice that is wrong. At least two choices stay.
func (r *round) help() []string {
	one := r.current()
	r.hints++
	if len(one.choices) == 0 {
		return []string{fmt.Sprintf("💡 Hint: %s", hint(one.answers[0], r.hints))}
	}
	var wrong []int
	for i, choice := range one.choices {
		if choice != one.answers[0] && !slices.Contains(r.gone, i) {
			wrong = append(wrong, i)
		}
	}
	if len(wrong) < 2 {
		return nil
	}
	excluded := wrong[rand.IntN(len(wrong))] //nolint:gosec // it guards no secret
	r.gone = append(r.gone, excluded)
	return []string{fmt.Sprintf("💡 Hint: it is not %s) %s", letter(excluded), one.choices[excluded])}
}

// worth returns the points of a right answer now.
func (r *round) worth() int64 { return points[r.hints] * int64(r.current().level) }

// answer takes what somebody has answered. It returns what is to be said, and the points, 0 if it is not right, comes
// too late, or if this person has chosen before.
func (r *round) answer(name, text string, now time.Time) (lines []string, earned int64) {
	if r.ended || !r.open {
		return nil, 0
	}
	one, key := r.current(), strings.ToLower(name)
	if len(one.choices) > 0 {
		chosen := one.chosen(text)
		if chosen < 0 || r.tried[key] || len(r.tried) >= maxTries {
			return nil, 0
		}
		r.tried[key] = true
		r.ignored = 0
		if one.choices[chosen] != one.answers[0] {
			return nil, 0
		}
	} else if !one.isRight(text) {
		return nil, 0
	}
	earned = r.worth()
	if r.players[key] == nil {
		r.players[key] = &player{name: name}
	}
	r.players[key].points += earned
	r.ignored = 0
	return r.close(plugin.Cut(fmt.Sprintf("✅ %s: %s. %d points, %d in this round.", name, one.answers[0], earned,
		r.players[key].points), plugin.MaxLength), now), earned
}

// skip ends the question that is open, or leaves out the next one.
func (r *round) skip(now time.Time) []string {
	if !r.open {
		return r.close("Skipped a question.", now)
	}
	return r.close(fmt.Sprintf("Skipped. It was: %s", r.current().answers[0]), now)
}

// close ends a question, and the round after the last one.
func (r *round) close(line string, now time.Time) []string {
	r.open, r.next = false, now.Add(pause)
	r.at++
	switch {
	case r.at == len(r.questions):
		return append([]string{line}, r.end("The round is over.")...)
	case r.ignored >= maxIgnored:
		return append([]string{line}, r.end("The round ends: nobody answers.")...)
	}
	return []string{line}
}

// end ends the round.
func (r *round) end(why string) []string {
	r.ended, r.open = true, false
	ranking := r.ranking()
	if len(ranking) == 0 {
		return []string{why + " Nobody has points."}
	}
	var parts []string
	for i, one := range ranking[:min(len(ranking), maxShown)] {
		parts = append(parts, fmt.Sprintf("%d. %s %d", i+1, one.name, one.points))
	}
	return []string{plugin.Cut("🏁 "+why+" "+strings.Join(parts, ", "), plugin.MaxLength)}
}

// ranking returns who has points, the most first.
func (r *round) ranking() []*player {
	var all []*player
	for _, one := range r.players {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *player) int {
		return cmp.Or(cmp.Compare(b.points, a.points), strings.Compare(a.name, b.name))
	})
	return all
}

// winners returns who has the most points, if others have some too.
func (r *round) winners() (names []string) {
	ranking := r.ranking()
	if len(ranking) < 2 {
		return nil
	}
	for _, one := range ranking {
		if one.points == ranking[0].points {
			names = append(names, one.name)
		}
	}
	return names
}
