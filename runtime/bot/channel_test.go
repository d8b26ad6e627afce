package bot

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/cytube"
)

func TestMediaEndsWithThePlaylist(t *testing.T) {
	c := newChannel()
	c.apply(cytube.PlaylistMeta{Count: 2})
	c.apply(cytube.ChangeMedia{Media: cytube.Media{ID: "a", Title: "Alien", Seconds: 7020}})
	c.apply(cytube.PlaylistMeta{Count: 1})
	if c.playing.media.Title != "Alien" || c.playing.media.Seconds != 7020 || c.playlist.count != 1 {
		t.Errorf("plays %q of %d s, %d items", c.playing.media.Title, c.playing.media.Seconds, c.playlist.count)
	}
	c.apply(cytube.PlaylistMeta{Count: 0})
	if c.playing.media.Title != "" || c.playing.media.Seconds != 0 || c.playlist.count != 0 {
		t.Errorf("plays %q of %d s, %d items", c.playing.media.Title, c.playing.media.Seconds, c.playlist.count)
	}
}

func permitChat(rank float64) cytube.Permissions {
	return cytube.Permissions{Ranks: map[string]float64{"chat": rank}}
}

func TestMayChat(t *testing.T) {
	tests := map[string]struct {
		self   string
		events []cytube.Event
		want   bool
	}{
		"permissions unknown": {self: "rosey", events: []cytube.Event{cytube.Rank{Rank: 3}}},
		"anonymous":           {events: []cytube.Event{permitChat(-1)}},
		"rank too low":        {self: "rosey", events: []cytube.Event{permitChat(2), cytube.Rank{Rank: 1.5}}},
		"rank high enough": {self: "rosey",
			events: []cytube.Event{permitChat(1.5), cytube.Rank{Rank: 1.5}}, want: true},
		"muted": {self: "rosey", events: []cytube.Event{
			permitChat(0), cytube.Rank{Rank: 1}, cytube.SetUserMeta{Name: "Rosey", Muted: true}}},
		"somebody else muted": {self: "rosey", events: []cytube.Event{
			permitChat(0), cytube.Rank{Rank: 1}, cytube.SetUserMeta{Name: "alice", Muted: true}}, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newChannel()
			c.self = test.self
			c.users.add(cytube.User{Name: "Rosey"})
			for _, event := range test.events {
				c.apply(event)
			}
			if c.mayChat() != test.want {
				t.Errorf("may chat: %v", c.mayChat())
			}
		})
	}
}

func TestUserList(t *testing.T) {
	l := userList{}
	if !l.add(cytube.User{Name: "Alice"}) || l.add(cytube.User{Name: "alice", Rank: 2}) {
		t.Error("a user was added twice, or not at all")
	}
	l.add(cytube.User{Name: "bob"})
	l.change("BOB", func(u *cytube.User) { u.AFK = true })
	l.change("nobody", func(u *cytube.User) { u.AFK = true })
	want := []cytube.User{{Name: "alice", Rank: 2}, {Name: "bob", AFK: true}}
	if diff := cmp.Diff(want, l.sorted()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	missing := l.missing([]cytube.User{{Name: "ALICE"}, {Name: "carol"}})
	if diff := cmp.Diff(want[1:], missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if _, known := l.remove("Bob"); !known || len(l) != 1 {
		t.Errorf("bob is still there: %v", l)
	}
	if _, known := l.remove("bob"); known {
		t.Error("bob left twice")
	}
}

func TestConnectedUsers(t *testing.T) {
	c := newChannel()
	c.users.add(cytube.User{Name: "alice"})
	c.users.add(cytube.User{Name: "bob"})
	for _, test := range []struct {
		said *int
		want int
	}{{nil, 2}, {new(1), 2}, {new(7), 7}} {
		c.connected = test.said
		if got := c.connectedUsers(); got != test.want {
			t.Errorf("%d connected, want %d", got, test.want)
		}
	}
}
