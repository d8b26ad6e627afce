package chaos

import (
	"math/rand/v2"
	"time"
)

// quiet is the range of the time between the recovery from a fault and the next fault.
var quiet = span{time.Second, 4 * time.Second}

// Schedule returns the faults of a run. The same seed and kinds give the same faults; a longer duration only adds some
// at the end. Every kind occurs once before any occurs again. There are enough faults for a run that recovers
// instantly, so that a run always ends because its time is over.
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
