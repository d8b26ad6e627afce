package storetest

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func userNames(t *testing.T, s store.Store) {
	// The latest spelling comes neither first nor last.
	apply(t, s, said(2, "alice", "a"), said(3, "ALICE", "b"), said(1, "Alice", "c"))
	users := read(t, s, movies).Users
	if len(users) != 1 || users[0].Username != "ALICE" || users[0].Lines != 3 {
		t.Errorf("users: %+v, want one, spelled as last and with all lines", users)
	}
	if got := read(t, s, movies).Chat[0].Username; got != "Alice" {
		t.Errorf("the line is by %q, want the spelling it was said under", got)
	}
}

func users(t *testing.T, s store.Store) {
	apply(t, s,
		happened(100, store.UserJoined{Username: "alice"}), said(150, "alice", "hi"),
		happened(200, store.UserLeft{Username: "alice"}),
		happened(300, store.UserJoined{Username: "Alice"}), said(350, "alice", "again"),
		// The bot came late: it did not see bob come.
		happened(120, store.UserLeft{Username: "bob"}),
		// A line of before, replayed: carol was seen and not seen to come.
		said(50, "carol", "old"),
	)
	start := clock(300)
	want := []store.User{
		{
			Username: "alice", FirstSeen: clock(100), LastSeen: clock(350), Lines: 2,
			Connected: 150 * time.Second, SessionStart: &start,
			Sessions: []store.Session{{Join: clock(100), Leave: clock(200)}, {Join: start}},
		},
		{Username: "bob", FirstSeen: clock(120), LastSeen: clock(120)},
		{Username: "carol", FirstSeen: clock(50), LastSeen: clock(50), Lines: 1},
	}
	same(t, "users", want, read(t, s, movies).Users)

	apply(t, s, said(20, "alice", "older still"))
	if got := read(t, s, movies).Users[0]; !got.FirstSeen.Equal(clock(20)) || !got.LastSeen.Equal(clock(350)) {
		t.Errorf("after an older line: first seen %v, last seen %v", got.FirstSeen, got.LastSeen)
	}
}

// unseen is what a killed bot did not see.
func unseen(t *testing.T, s store.Store) {
	watching := func(at, since float64) store.Event {
		return happened(at, store.Status{BotConnected: new(true), WatchingSince: new(clock(since))})
	}
	events := []store.Event{
		happened(100, store.UserJoined{Username: "alice"}), happened(100, store.UserJoined{Username: "bob"}),
		watching(101, 100), watching(300, 100),
		happened(500, store.UserJoined{Username: "bob"}), watching(501, 500), watching(200, 100),
	}
	for i := range events {
		apply(t, s, events[len(events)-1-i], events[i])
	}
	got := read(t, s, movies).Users
	if len(got) != 2 || got[0].SessionStart != nil || got[0].Connected != 200*time.Second || got[1].SessionStart == nil {
		t.Errorf("users: %+v", got)
	}
}

func highWater(t *testing.T, s store.Store) {
	for _, step := range []struct {
		why  string
		at   float64
		mark store.HighWater
		want store.Maxima
	}{
		{"nothing known", 1, store.HighWater{}, store.Maxima{}},
		{"first", 20, store.HighWater{Chat: 5}, store.Maxima{Chat: 5, ChatAt: clock(20)}},
		{
			"connected", 30, store.HighWater{Chat: 4, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: clock(20), Connected: 9, ConnectedAt: clock(30)},
		},
		{
			"later tie", 40, store.HighWater{Chat: 5, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: clock(20), Connected: 9, ConnectedAt: clock(30)},
		},
		{
			"earlier tie", 10, store.HighWater{Chat: 5, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: clock(10), Connected: 9, ConnectedAt: clock(10)},
		},
		{
			"one rises", 50, store.HighWater{Chat: 6, Connected: new(8)},
			store.Maxima{Chat: 6, ChatAt: clock(50), Connected: 9, ConnectedAt: clock(10)},
		},
	} {
		apply(t, s, happened(step.at, step.mark))
		same(t, step.why, step.want, read(t, s, movies).Maxima)
	}
}

func userCounts(t *testing.T, s store.Store) {
	sample := happened(2, store.UserCount{Chat: 5, Connected: 2})
	apply(t, s, happened(3, store.UserCount{Chat: 1, Connected: 7}), sample, sample)
	apply(t, s, sample, happened(1, store.UserCount{}))
	want := []store.CountSample{
		{At: clock(1)}, {At: clock(2), Chat: 5, Connected: 2}, {At: clock(3), Chat: 1, Connected: 7},
	}
	same(t, "samples", want, read(t, s, movies).Counts)
	got := must[[]store.CountSample](t)(s.UserCounts(t.Context(), movies, 2))
	same(t, "the newest two", want[1:], got)
}

func status(t *testing.T, s store.Store) {
	first := store.Status{
		BotName: new("Rosey"), BotRank: new(2.5), BotAFK: new(true), ChannelName: new("Movies"),
		CurrentChatUsers: new(3), CurrentConnectedUsers: new(5), PlaylistItems: new(7),
		CurrentMediaTitle: new("Film"), CurrentMediaDuration: new(90), BotStartTime: new(int64(1763700000)),
		BotConnected: new(true),
	}
	apply(t, s, happened(10, first))
	same(t, "all fields", first, read(t, s, movies).Status)

	apply(t, s,
		happened(30, store.Status{BotAFK: new(false)}),
		happened(20, store.Status{BotAFK: new(true), CurrentMediaTitle: new("")}),
		happened(5, store.Status{CurrentChatUsers: new(99)}),
		happened(40, store.Status{}),
	)
	want := first
	want.BotAFK, want.CurrentMediaTitle = new(false), new("")
	same(t, "each field keeps its last writer by time", want, read(t, s, movies).Status)
}

func channels(t *testing.T, s store.Store) {
	other := store.Channel{Server: movies.Server, Name: "Music"}
	elsewhere := store.Channel{Server: "https://other.example", Name: movies.Name}
	for i, channel := range []store.Channel{movies, other, elsewhere} {
		for _, event := range []store.Event{
			happened(1, store.UserJoined{Username: "alice"}), said(2, "alice", channel.Server+channel.Name),
			happened(3, store.UserCount{Chat: i}), happened(4, store.HighWater{Chat: i + 1}),
			happened(5, store.Status{PlaylistItems: new(i)}),
		} {
			event.ID += channel.Server + channel.Name
			event.Channel = channel
			apply(t, s, event)
		}
	}
	for i, channel := range []store.Channel{movies, other, elsewhere} {
		got := read(t, s, channel)
		same(t, "lines", []string{channel.Server + channel.Name}, texts(got.Chat))
		same(t, "chatters", []store.Chatter{{Username: "alice", Lines: 1}}, got.Top)
		same(t, "samples", []store.CountSample{{At: clock(3), Chat: i}}, got.Counts)
		same(t, "maxima", store.Maxima{Chat: i + 1, ChatAt: clock(4)}, got.Maxima)
		same(t, "status", store.Status{PlaylistItems: new(i)}, got.Status)
	}
	shouted := store.Channel{Server: "HTTPS://CYTU.BE", Name: "MOVIES"}
	same(t, "the channel's other spelling", read(t, s, movies), read(t, s, shouted))
}

func actions(t *testing.T, s store.Store) {
	say := happened(2, store.Action{Username: "mod", Type: store.ActionPMCommand, Details: "cmd=say, args=hi"})
	apply(t, s, say, say)
	apply(t, s, happened(1, store.Action{Username: "MOD", Type: "other"}), say)
	apply(t, s, happened(3, store.Action{Details: "nobody's"}))
	want := []store.PastAction{
		{At: clock(1), Action: store.Action{Username: "MOD", Type: "other"}},
		{At: clock(2), Action: store.Action{Username: "mod", Type: "pm_command", Details: "cmd=say, args=hi"}},
	}
	got := read(t, s, movies)
	same(t, "actions, each once", want, got.Actions)
	same(t, "who did something has not been seen for it", []store.User{}, got.Users)
	same(t, "the newest", want[1:], must[[]store.PastAction](t)(s.Actions(t.Context(), movies, 1)))
}

func oneUser(t *testing.T, s store.Store) {
	apply(t, s,
		happened(100, store.UserJoined{Username: "Älice"}), happened(150, store.UserLeft{Username: "älice"}),
		said(200, "bob", "hi"), happened(250, store.UserJoined{Username: "carol"}),
	)
	everybody := read(t, s, movies).Users
	same(t, "how many", 3, must[int](t)(s.CountUsers(t.Context(), movies)))
	for name, want := range map[string]int{"ÄLICE": 2, "bob": 0, "Carol": 1} {
		user, seen, err := s.User(t.Context(), movies, name)
		if err != nil || !seen {
			t.Fatalf("%s: seen %v, %v", name, seen, err)
		}
		same(t, name+" is as among all", everybody[want], user)
	}
	for _, name := range []string{"dave", "", "b%", "bob\x00"} {
		if user, seen, err := s.User(t.Context(), movies, name); err != nil || seen {
			t.Errorf("%q: %+v, seen %v, %v", name, user, seen, err)
		}
	}
	music := store.Channel{Server: movies.Server, Name: "Music"}
	if user, seen, err := s.User(t.Context(), music, "bob"); err != nil || seen {
		t.Errorf("in another channel: %+v, seen %v, %v", user, seen, err)
	}
	same(t, "how many elsewhere", 0, must[int](t)(s.CountUsers(t.Context(), music)))
}
