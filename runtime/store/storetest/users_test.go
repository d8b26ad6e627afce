package storetest

import (
	"time"

	"rosey.dev/rosey/runtime/store"
)

func spellings(t storeTest) {
	// The latest spelling is neither the first nor the last to be stored.
	t.apply(chatLine(2, "alice", "a"), chatLine(3, "ALICE", "b"), chatLine(1, "Alice", "c"))
	got := t.read(movies)
	if len(got.Users) != 1 || got.Users[0].Username != "ALICE" || got.Users[0].Lines != 3 {
		t.Errorf("users: %+v, want one with the latest spelling and all lines", got.Users)
	}
	same(t, "spelling in the line", "Alice", got.Chat[0].Username)
}

func users(t storeTest) {
	t.apply(
		event(100, store.UserJoined{Username: "alice"}), chatLine(150, "alice", "hi"),
		event(200, store.UserLeft{Username: "alice"}),
		event(300, store.UserJoined{Username: "Alice"}), chatLine(350, "alice", "again"),
		// The bot joined after bob did.
		event(120, store.UserLeft{Username: "bob"}),
		// A line of the history that the server repeats, from before the bot joined.
		chatLine(50, "carol", "old"),
	)
	start := at(300)
	same(t, "users", []store.User{
		{
			Username: "alice", FirstSeen: at(100), LastSeen: at(350), Lines: 2,
			Connected: 150 * time.Second, SessionStart: &start,
			Sessions: []store.Session{{Join: at(100), Leave: at(200)}, {Join: start}},
		},
		{Username: "bob", FirstSeen: at(120), LastSeen: at(120)},
		{Username: "carol", FirstSeen: at(50), LastSeen: at(50), Lines: 1},
	}, t.read(movies).Users)

	t.apply(chatLine(20, "alice", "older still"))
	if got := t.read(movies).Users[0]; !got.FirstSeen.Equal(at(20)) || !got.LastSeen.Equal(at(350)) {
		t.Errorf("after an older line: first seen %v, last seen %v", got.FirstSeen, got.LastSeen)
	}
}

func oneUser(t storeTest) {
	t.apply(
		event(100, store.UserJoined{Username: "Älice"}), event(150, store.UserLeft{Username: "älice"}),
		chatLine(200, "bob", "hi"), event(250, store.UserJoined{Username: "carol"}),
	)
	all := t.read(movies).Users
	same(t, "number of users", 3, must[int](t)(t.CountUsers(t.Context(), movies)))
	for name, want := range map[string]int{"ÄLICE": 2, "bob": 0, "Carol": 1} {
		user, seen, err := t.User(t.Context(), movies, name)
		if err != nil || !seen {
			t.Fatalf("%s: seen %v, %v", name, seen, err)
		}
		same(t, name, all[want], user)
	}
	for name, channel := range map[string]store.Channel{
		"dave": movies, "": movies, "b%": movies, "bob\x00": movies, "bob": music,
	} {
		if user, seen, err := t.User(t.Context(), channel, name); err != nil || seen {
			t.Errorf("%q in %s: %+v, seen %v, %v", name, channel.Name, user, seen, err)
		}
	}
	same(t, "users of another channel", 0, must[int](t)(t.CountUsers(t.Context(), music)))
}

// unseenLeaves has a bot that was killed while alice left: the next one does not find her in the channel.
func unseenLeaves(t storeTest) {
	watching := func(n, since float64) store.Event {
		status := field("bot_connected", true)
		status.WatchingSince = new(at(since))
		return event(n, status)
	}
	events := []store.Event{
		event(100, store.UserJoined{Username: "alice"}), event(100, store.UserJoined{Username: "bob"}),
		watching(101, 100), watching(300, 100),
		event(500, store.UserJoined{Username: "bob"}), watching(501, 500), watching(200, 100),
	}
	for i := range events {
		t.apply(events[len(events)-1-i], events[i])
	}
	got := t.read(movies).Users
	if len(got) != 2 || got[0].SessionStart != nil || got[0].Connected != 200*time.Second || got[1].SessionStart == nil {
		t.Errorf("users: %+v", got)
	}
}
