package fuzz

import (
	"bytes"
	"slices"
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

// sample returns a body of each of the first operations of a seed.
func sample(seed uint64, operations int) (kinds []Kind, bodies [][]byte) {
	schedule := newSchedule(seed, Kinds())
	for range operations {
		o := schedule.next()
		kinds = append(kinds, o.Kind)
		bodies = append(bodies, body(o.random, pick(o.random, bus.Events...), 4096))
	}
	return kinds, bodies
}

func TestTheSeedRepeatsTheOperations(t *testing.T) {
	kinds, bodies := sample(7, 200)
	again, bodiesAgain := sample(7, 200)
	if !slices.Equal(kinds, again) || !slices.EqualFunc(bodies, bodiesAgain, bytes.Equal) {
		t.Error("the same seed gives other operations or bodies")
	}
	if others, _ := sample(8, 200); slices.Equal(kinds, others) {
		t.Error("another seed gives the same operations")
	}
}

func TestEveryKindOccursBeforeAnyRepeats(t *testing.T) {
	kinds, _ := sample(3, 2*len(Kinds()))
	for _, half := range [][]Kind{kinds[:len(Kinds())], kinds[len(Kinds()):]} {
		slices.Sort(half)
		if !slices.Equal(half, Kinds()) {
			t.Errorf("a round has the operations %q, expected each of %q once", half, Kinds())
		}
	}
}
