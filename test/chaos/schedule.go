package chaos

import (
	"math/rand/v2"
	"time"
)

// quiet is the least and the most time between two faults in which all is well.
var quiet = span{time.Second, 4 * time.Second}

// Schedule is what goes wrong in a run: the same seed and kinds, the same faults; a longer duration only adds some
// at the end. Every kind comes once before any comes again. It has as many faults as a run without a moment of
// recovery could hold, so a run ends by its clock and not for want of faults.
func Schedule(seed uint64, duration time.Duration, kinds []Kind) []Fault {
	random := rand.New(rand.NewPCG(seed, uint64(len(kinds)))) //nolint:gosec // a replay needs the same numbers
	var faults []Fault
	var deck []Kind
	for sum := time.Duration(0); sum < duration && len(kinds) > 0; {
		if len(deck) == 0 {
			deck = append(deck, kinds...)
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		lasts := spans[deck[0]]
		fault := Fault{
			Kind: deck[0], Quiet: between(random, quiet), Lasts: between(random, lasts), Pick: int(random.Uint32() >> 1),
		}
		deck = deck[1:]
		faults = append(faults, fault)
		sum += fault.Quiet + fault.Lasts
	}
	return faults
}

func between(random *rand.Rand, s span) time.Duration {
	return s.least + time.Duration(random.Int64N(int64(s.most-s.least)+1)).Round(time.Millisecond)
}
