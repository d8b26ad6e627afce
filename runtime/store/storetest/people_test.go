package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

func joined(n float64, name string) store.Event { return event(n, store.UserJoined{Username: name}) }

func left(n float64, name string) store.Event { return event(n, store.UserLeft{Username: name}) }

// watching is the status of a bot that has been in the channel since a time.
func watching(n, since float64) store.Event {
	status := field("bot_connected", true)
	status.WatchingSince = new(at(since))
	return event(n, status)
}

func (t storeTest) names() []string {
	t.Helper()
	names := []string{}
	for _, user := range t.read(movies).Users {
		names = append(names, user.Username)
	}
	return names
}

func prunePeople(t storeTest) {
	t.apply(
		joined(100, "gone"), left(110, "gone"), chatLine(105, "gone", "kept"),
		joined(100, "returned"), left(110, "returned"), joined(900, "returned"), left(910, "returned"),
		joined(100, "present"), chatLine(120, "present", "hi"),
		left(100, "onlyleft"), chatLine(130, "quoted", "hi"),
		joined(100, "Unseen"), // a bot that joins later does not find them
		joined(500, "present"), watching(501, 500),
	)
	t.apply(in(music, []store.Event{joined(100, "gone"), left(110, "gone")})...)
	if removed, _ := t.prune(store.PrunePeople, at(800), 3); removed != 4+3+1+2+1+2 {
		t.Errorf("removed %d rows, want 13: 4 users, 4 joins and leaves and 2 hours in movies, 1 and 2 in music", removed)
	}
	same(t, "people", []string{"present", "returned"}, t.names())
	same(t, "users of the other channel", 0, must[int](t)(t.CountUsers(t.Context(), music)))
	same(t, "lines are kept as long as chat is", []string{"kept", "hi", "hi"}, t.recent(unlimited))
	same(t, "lines of who was removed do not count", 1, t.countLines(t.Context()))
	returned, _, err := t.User(t.Context(), movies, "returned")
	if err != nil || len(returned.Sessions) != 2 {
		t.Errorf("who returned: %+v, %v, want both sessions", returned, err)
	}
	present, _, err := t.User(t.Context(), movies, "present")
	if err != nil || present.SessionStart == nil || !present.SessionStart.Equal(at(100)) {
		t.Errorf("who is there: %+v, %v, want a session since the first join", present, err)
	}
	if removed, _ := t.prune(store.PrunePeople, at(1e6), 3); removed != 5 {
		t.Errorf("removed %d rows, want those of who returned", removed)
	}
	same(t, "who is in the channel is never removed", []string{"present"}, t.names())
}

// pruneManyEvents has a user with more joins than are removed in one transaction.
func pruneManyEvents(t storeTest) {
	for i := range 10 {
		t.apply(joined(float64(2*i), "alice"), left(float64(2*i+1), "alice"))
	}
	if removed, steps := t.prune(store.PrunePeople, at(800), 6); removed != 21 || steps != 4 {
		t.Errorf("removed %d rows in %d steps, want 20 joins and leaves and a user in 4", removed, steps)
	}
	same(t, "people", []string{}, t.names())
	same(t, "rows", 0, t.usage().Rows)
}

// lateEventsOfPrunedPeople applies events from before and after people were pruned in any order and with any
// repetition: those from before must not bring back a part of who was removed, whatever arrives first.
func lateEventsOfPrunedPeople(t storeTest) {
	const rounds, shuffles = 8, 4
	for range rounds {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		stored := []store.Event{joined(0, "alice"), chatLine(1, "alice", "a"), left(2, "alice"), chatLine(50, "bob", "b")}
		late := []store.Event{
			joined(0, "alice"), chatLine(1, "alice", "a"), left(2, "alice"), chatLine(1.5, "alice", "late"),
			joined(1, "carol"), left(1.2, "bob"), chatLine(40, "alice", "back"), joined(41, "alice"), left(42, "carol"),
			chatLine(60, "bob", "c"),
		}
		var want rows
		for i := range shuffles {
			channel := store.Channel{Server: "s", Name: fmt.Sprintf("%d_%d", seed, i)}
			t.apply(in(channel, stored)...)
			t.prune(store.PrunePeople, at(30), 100)
			t.applyShuffled(in(channel, slices.Clone(late)), random)
			got := t.read(channel)
			if i == 0 {
				want = got
			}
			same(t, fmt.Sprintf("seed %d, shuffle %d", seed, i), want, got)
		}
		if t.Failed() {
			return
		}
		same(t, "users", 3, len(want.Users))
		same(t, "lines of alice, without those from before", 1, want.Users[0].Lines)
		same(t, "first seen", at(40), want.Users[0].FirstSeen)
		same(t, "lines of bob", 2, want.Users[1].Lines)
	}
}

// newestPresence has more joins and leaves than are read.
func newestPresence(t storeTest) {
	var events []store.Event
	for i := range store.MaxPresence/2 + 10 {
		n := float64(100 * i)
		events = append(events, joined(n, "alice"), left(n+10, "alice"))
	}
	t.apply(events...)
	user, _, err := t.User(t.Context(), movies, "alice")
	if err != nil || len(user.Sessions) != store.MaxPresence/2 || !user.Sessions[0].Join.Equal(at(1000)) {
		t.Errorf("%d sessions, %v, want the newest %d", len(user.Sessions), err, store.MaxPresence/2)
	}
	same(t, "among all users", user, t.read(movies).Users[0])
}
