package storetest

import (
	"time"

	"rosey.dev/rosey/runtime/store"
)

// position is a place in the stream rosey_events.
func position(created float64, sequence uint64) store.StreamPosition {
	return store.StreamPosition{Stream: "rosey_events", Created: at(created), Sequence: sequence}
}

func (t storeTest) advance(to store.StreamPosition) {
	t.Helper()
	if err := t.AdvanceStream(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}

func streamPosition(t storeTest) {
	stored := func(want store.StreamPosition) {
		t.Helper()
		got, found, err := t.StreamPosition(t.Context(), "rosey_events")
		if err != nil || !found {
			t.Fatalf("found %t, %v", found, err)
		}
		same(t, "position", want, got)
	}
	if _, found, err := t.StreamPosition(t.Context(), "rosey_events"); err != nil || found {
		t.Errorf("of a new database: found %t, %v", found, err)
	}
	precise := position(1, 5)
	precise.Created = precise.Created.Add(123 * time.Microsecond)
	t.advance(precise)
	stored(position(1, 5))
	t.advance(position(1, 4)) // another replica was faster
	stored(position(1, 5))
	t.advance(position(1, 9))
	stored(position(1, 9))
	t.advance(store.StreamPosition{Stream: "other_events", Created: at(7), Sequence: 1})
	stored(position(1, 9))
	t.advance(position(2, 0)) // another stream of the same name
	stored(position(2, 0))
	same(t, "empty", true, must[bool](t)(t.Empty(t.Context())))
}

// Only what belongs to a channel, or waits for a later version, is a row.
func isEmpty(t storeTest) {
	empty := func(want bool) {
		t.Helper()
		same(t, "empty", want, must[bool](t)(t.Empty(t.Context())))
	}
	empty(true)
	if owners, ok := t.Store.(store.ChannelOwners); ok {
		if _, err := owners.TakeChannel(t.Context(), store.Service{Prefix: "rosey"}, movies); err != nil {
			t.Fatal(err)
		}
		empty(true)
	}
	t.apply(event(1, store.UserJoined{Username: "Ann"}))
	empty(false)
}
