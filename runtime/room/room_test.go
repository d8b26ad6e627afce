package room_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

var start = time.Date(2026, time.March, 1, 20, 0, 0, 0, time.UTC)

// apply returns the Room after events that arrive a second apart, the first at start, and what the last one changed.
func apply(events ...cytube.Event) (*room.Room, room.Change) {
	r := room.New()
	var change room.Change
	for i, event := range events {
		change = r.Apply(event, start.Add(time.Duration(i)*time.Second))
	}
	return r, change
}

func list(names ...string) cytube.UserList {
	var users cytube.UserList
	for _, name := range names {
		users.Users = append(users.Users, cytube.User{Name: name})
	}
	return users
}

func add(name string) cytube.AddUser { return cytube.AddUser{User: cytube.User{Name: name}} }

func chatFrom(rank float64) cytube.Permissions {
	return cytube.Permissions{Ranks: map[string]float64{"chat": rank}}
}

func TestApplyReportsChanges(t *testing.T) {
	t.Parallel()
	users := func(names ...string) []cytube.User { return list(names...).Users }
	tests := map[string]struct {
		events []cytube.Event
		want   room.Change
	}{
		"first list": {
			events: []cytube.Event{list("bob", "alice")},
			want:   room.Change{Joined: users("bob", "alice")},
		},
		"first list after a join": {
			events: []cytube.Event{add("alice"), list("alice", "bob")},
			want:   room.Change{Joined: users("alice", "bob")},
		},
		"repeated list": {
			events: []cytube.Event{list("alice", "bob"), list("ALICE", "bob")},
		},
		"other list": {
			events: []cytube.Event{list("dora", "alice", "bob"), list("bob", "zoe", "carol")},
			want:   room.Change{Left: users("alice", "dora"), Joined: users("zoe", "carol")},
		},
		"join": {
			events: []cytube.Event{list(), add("alice")},
			want:   room.Change{Joined: users("alice")},
		},
		"second join": {events: []cytube.Event{list("alice"), add("Alice")}},
		"leave": {
			events: []cytube.Event{list("Alice"), cytube.UserLeave{Name: "alice"}},
			want:   room.Change{Left: users("Alice")},
		},
		"leave of nobody": {events: []cytube.Event{list("alice"), cytube.UserLeave{Name: "bob"}}},
		"first rank":      {events: []cytube.Event{cytube.Rank{Rank: 0}}, want: room.Change{Rank: true}},
		"another rank": {
			events: []cytube.Event{cytube.Rank{Rank: 1}, cytube.Rank{Rank: 3}},
			want:   room.Change{Rank: true},
		},
		"same rank": {events: []cytube.Event{cytube.Rank{Rank: 3}, cytube.Rank{Rank: 3}}},
		"number of connections": {
			events: []cytube.Event{cytube.UserCount{Count: 5}},
			want:   room.Change{Connected: true},
		},
		"same number": {
			events: []cytube.Event{cytube.UserCount{Count: 5}, cytube.UserCount{Count: 5}},
			want:   room.Change{Connected: true},
		},
		"chat":          {events: []cytube.Event{cytube.ChatMessage{User: "alice", HTML: "hello"}}},
		"unknown event": {events: []cytube.Event{cytube.Unknown{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, change := apply(test.events...)
			if diff := cmp.Diff(test.want, change); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	r, _ := apply(
		cytube.Joined{Name: "Rosey"},
		list("Rosey", "alice", "bob", "carol"),
		cytube.SetUserRank{Name: "Alice", Rank: 1.5},
		cytube.SetUserMeta{Name: "alice", AFK: true, Muted: true},
		cytube.SetAFK{Name: "BOB", AFK: true},
		cytube.SetAFK{Name: "nobody", AFK: true},
		cytube.UserLeave{Name: "carol"},
		cytube.AddUser{User: cytube.User{Name: "bob", Rank: 2}},
	)
	want := []cytube.User{{Name: "Rosey"}, {Name: "alice", Rank: 1.5, AFK: true, Muted: true}, {Name: "bob", Rank: 2}}
	if diff := cmp.Diff(want, r.Users.Sorted()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if _, found := r.Users.Find("carol"); found {
		t.Error("carol left and is still in the list")
	}
	if !r.UsersSince.Equal(start.Add(time.Second)) {
		t.Errorf("the users are known since %s", r.UsersSince)
	}
	if r.Me().Name != "Rosey" || !r.IsMe("ROSEY") || r.IsMe("alice") || r.IsMe("") {
		t.Errorf("me: %+v", r.Me())
	}
	if r, _ := apply(cytube.Joined{}); r.IsMe("") {
		t.Error("an anonymous watcher has a name")
	}
}

func TestConnected(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events []cytube.Event
		known  bool
		want   int
	}{
		"not sent yet": {events: []cytube.Event{list("alice", "bob")}, want: 2},
		"behind the user list": {
			events: []cytube.Event{cytube.UserCount{Count: 1}, list("alice", "bob")},
			known:  true, want: 2,
		},
		"with anonymous": {
			events: []cytube.Event{list("alice", "bob"), cytube.UserCount{Count: 7}},
			known:  true, want: 7,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, _ := apply(test.events...); r.Connected() != test.want || r.ConnectedKnown() != test.known {
				t.Errorf("%d connected, known: %v", r.Connected(), r.ConnectedKnown())
			}
		})
	}
}

func TestMayChat(t *testing.T) {
	t.Parallel()
	const rosey = "Rosey"
	tests := map[string]struct {
		self   string
		events []cytube.Event
		want   bool
	}{
		"permissions unknown": {self: rosey, events: []cytube.Event{cytube.Rank{Rank: 3}}},
		"anonymous":           {events: []cytube.Event{chatFrom(-1)}},
		"rank too low":        {self: rosey, events: []cytube.Event{chatFrom(2), cytube.Rank{Rank: 1.5}}},
		"rank suffices":       {self: rosey, events: []cytube.Event{chatFrom(1.5), cytube.Rank{Rank: 1.5}}, want: true},
		"muted": {self: rosey, events: []cytube.Event{
			chatFrom(0), cytube.Rank{Rank: 1}, cytube.SetUserMeta{Name: "rosey", Muted: true}}},
		"somebody else muted": {self: rosey, events: []cytube.Event{
			chatFrom(0), cytube.Rank{Rank: 1}, cytube.SetUserMeta{Name: "alice", Muted: true}}, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := apply(append([]cytube.Event{cytube.Joined{Name: test.self}, list(rosey, "alice")}, test.events...)...)
			if r.MayChat() != test.want {
				t.Errorf("may chat: %v, want %v", r.MayChat(), test.want)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	r, _ := apply()
	if r.PermissionsKnown() || r.Allows(room.PermissionChat, 5) {
		t.Error("something is allowed before the server sent the permissions")
	}
	ranks := cytube.Permissions{Ranks: map[string]float64{"playlistadd": 2, "oplaylistadd": -1, "chat": 0, "ochat": -1}}
	tests := map[string]struct {
		unlocked   bool
		permission room.Permission
		rank       float64
		want       bool
	}{
		"rank too low":                    {permission: room.PermissionAdd, rank: 1},
		"rank suffices":                   {permission: room.PermissionAdd, rank: 2, want: true},
		"unknown permission":              {permission: "unheard-of", rank: 5},
		"unlocked playlist":               {unlocked: true, permission: room.PermissionAdd, rank: 0, want: true},
		"unlocked, but not of a playlist": {unlocked: true, permission: room.PermissionChat, rank: -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := apply(ranks, cytube.PlaylistLocked{Locked: !test.unlocked})
			if r.Allows(test.permission, test.rank) != test.want {
				t.Errorf("allowed: %v, want %v", !test.want, test.want)
			}
		})
	}
}

func TestFloodLimit(t *testing.T) {
	t.Parallel()
	limit := &cytube.FloodLimit{Burst: 4, Sustained: 1, Cooldown: 4 * time.Second}
	options := cytube.ChannelOptions{AllowVoteskip: true, Flood: limit}
	r, _ := apply(options, cytube.Rank{Rank: 1.5})
	if r.FloodLimit() != limit || !r.AllowVoteskip {
		t.Errorf("limit %+v, voteskip: %v", r.FloodLimit(), r.AllowVoteskip)
	}
	if r, _ := apply(options, cytube.Rank{Rank: cytube.ModeratorRank}); r.FloodLimit() != nil {
		t.Errorf("limit of a moderator: %+v", r.FloodLimit())
	}
}

// TestSnapshot checks that a Snapshot keeps its content while the Room changes.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	media := cytube.Media{ID: "a", Type: "yt", Title: "Alien", Seconds: 7020}
	r, _ := apply(
		cytube.Joined{Name: "Rosey"}, cytube.Rank{Rank: 3}, list("Rosey", "alice"), cytube.UserCount{Count: 4},
		cytube.PlaylistMeta{Count: 2}, cytube.SetLeader{Name: "alice"},
		cytube.ChangeMedia{Media: media, Position: 10, Paused: true},
	)
	got := r.Snapshot(start.Add(time.Hour))
	r.Apply(cytube.SetAFK{Name: "alice", AFK: true}, start)
	r.Apply(cytube.UserLeave{Name: "Rosey"}, start)
	want := room.Snapshot{
		Self: "Rosey", Users: list("Rosey", "alice").Users, Connected: 4, Items: 2, PlaybackLeader: "alice",
		Playing: &room.Playing{Title: "Alien", Seconds: 7020, Position: 10, Paused: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	r, _ := apply(
		cytube.Joined{Name: "Rosey"}, cytube.Rank{Rank: 3}, list("Rosey", "alice"), cytube.UserCount{Count: 4},
		cytube.PlaylistMeta{Count: 2}, cytube.ChangeMedia{Media: cytube.Media{ID: "a", Title: "Alien"}},
	)
	change := r.Disconnect()
	if diff := cmp.Diff(room.Change{Left: list("Rosey", "alice").Users}, change); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
	want := room.Snapshot{Self: "Rosey", Users: []cytube.User{}, Items: 2}
	if diff := cmp.Diff(want, r.Snapshot(start)); diff != "" || r.ConnectedKnown() {
		t.Errorf("afterwards (-want +got), number of connections known: %v:\n%s", r.ConnectedKnown(), diff)
	}
}
