package simulator

import (
	"math/rand/v2"
	"slices"
)

// cast are the people in the script. They are guests unless the server has accounts for them.
var cast = []string{
	"alice", "popcorn_fan", "Zoe-99", "marlow", "night_owl", "Kino_Karl", "rewind", "dot_matrix",
}

// action is one action of a script.
type action struct {
	kind  Kind // KindJoin, KindLeave or KindChat
	user  string
	text  string
	pause float64 // time until the next action, as a multiple of the pace
}

// evening generates the cast's actions, which depend only on the seed.
type evening struct {
	random  *rand.Rand
	inside  []string
	outside []string
	unsaid  []string // lines of the bank that have not been used yet
}

func newEvening(seed uint64) *evening {
	// Not for secrets: the same seed must give the same script.
	return &evening{random: rand.New(rand.NewPCG(seed, 0)), outside: slices.Clone(cast)} //nolint:gosec // see above
}

// next returns the next action: at the start people join, then they chat, and sometimes one joins or leaves.
func (e *evening) next() action {
	a := action{pause: 0.3 + 1.4*e.random.Float64()}
	dice := e.random.Float64()
	switch {
	case len(e.inside) < 3, len(e.outside) > 0 && dice < 0.12:
		a.kind, a.user = KindJoin, e.move(&e.outside, &e.inside)
	case len(e.inside) > 3 && dice > 0.93:
		a.kind, a.user = KindLeave, e.move(&e.inside, &e.outside)
	default:
		a.kind, a.user, a.text = KindChat, e.inside[e.random.IntN(len(e.inside))], e.line()
	}
	return a
}

// move moves a random person from one list to the other.
func (e *evening) move(from, to *[]string) string {
	i := e.random.IntN(len(*from))
	user := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	*to = append(*to, user)
	return user
}

// line returns lines of the bank in random order. A line repeats only after all the others.
func (e *evening) line() string {
	if len(e.unsaid) == 0 {
		e.unsaid = slices.Clone(bank)
		e.random.Shuffle(len(e.unsaid), func(i, j int) { e.unsaid[i], e.unsaid[j] = e.unsaid[j], e.unsaid[i] })
	}
	last := len(e.unsaid) - 1
	line := e.unsaid[last]
	e.unsaid = e.unsaid[:last]
	return line
}
