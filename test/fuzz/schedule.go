package fuzz

import (
	"fmt"
	"math/rand/v2"
)

// Operation is one step of the hostile client.
type Operation struct {
	// Number counts from 1.
	Number int
	Kind   Kind
	// random determines everything that the operation sends.
	random *rand.Rand
}

// String returns the operation as it is printed and logged.
func (o Operation) String() string { return fmt.Sprintf("%d: %s", o.Number, o.Kind) }

// schedule generates the operations of a seed. Every kind occurs once before any occurs again.
type schedule struct {
	seed   uint64
	kinds  []Kind
	random *rand.Rand
	deck   []Kind
	number int
}

func newSchedule(seed uint64, kinds []Kind) *schedule {
	return &schedule{seed: seed, kinds: kinds, random: numbers(seed, 0)}
}

// next returns the next operation. What it sends depends on the seed and its number only, so that a slower machine
// sends less of the same.
func (s *schedule) next() Operation {
	if len(s.deck) == 0 {
		s.deck = append(s.deck, s.kinds...)
		s.random.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	s.number++
	kind := s.deck[0]
	s.deck = s.deck[1:]
	return Operation{Number: s.number, Kind: kind, random: numbers(s.seed, uint64(s.number))} //nolint:gosec // positive
}

func numbers(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // a replay needs the same numbers
}
