package bot

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

// driven is a session whose events the test handles itself, so that it can see the state in between.
type driven struct {
	t *testing.T
	*session
}

func (r *rig) drive() *driven {
	r.t.Helper()
	connection, _ := r.make()
	r.t.Cleanup(connection.Close)
	used, err := r.bot.readPasswords()
	must(r.t, err)
	conn, err := r.bot.dial(r.t.Context(), used)
	must(r.t, err)
	r.t.Cleanup(conn.Close)
	d := &driven{r.t, newSession(r.bot, conn)}
	d.until("in the channel", func(*room.Room) bool { return d.joined })
	return d
}

// until handles events until a condition holds.
func (d *driven) until(what string, holds func(*room.Room) bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	for !holds(d.room) {
		next, err := d.conn.Next(ctx)
		if err != nil {
			d.t.Fatalf("waiting for %s: %v", what, err)
		}
		d.handle(context.Background(), next)
	}
}

// TestChannelState checks that the room follows when users change the state of a channel.
func TestChannelState(t *testing.T) {
	r := newRig(t)
	c := r.channel
	must(t, c.Join("owner"))
	for _, name := range []string{"alice", "bob", "carol"} {
		must(t, c.Join(name))
	}
	d := r.drive()
	d.until("the bot's rank", func(r *room.Room) bool { return r.Rank == 3 })
	uids := map[string]int{}
	add := func(id, position string) {
		uid, err := c.Queue("owner", simulator.Media{ID: id, Type: "yt"}, position)
		must(t, err)
		uids[id] = uid
	}
	add("a", simulator.QueueEnd)
	add("b", simulator.QueueEnd)
	add("c", simulator.QueueNext)
	must(t, c.Move("owner", uids["a"], uids["b"]))
	must(t, c.Delete("owner", 0)) // the live stream that played
	must(t, c.ToggleLock("owner"))
	must(t, c.AssignLeader("owner", "alice"))
	must(t, c.SetAFK("alice", true))
	must(t, c.Mute("alice"))
	d.until("the mute", func(r *room.Room) bool { alice, _ := r.Users.Find("Alice"); return alice.Muted })

	items := []string{}
	for _, item := range d.room.Playlist.Items {
		items = append(items, item.Media.ID)
	}
	if diff := cmp.Diff([]string{"c", "b", "a"}, items); diff != "" {
		t.Errorf("playlist (-want +got):\n%s", diff)
	}
	list := d.room.Playlist
	if last := list.Items[2]; last.QueuedBy != "owner" || list.Current != uids["c"] || list.Count != 3 {
		t.Errorf("playlist %+v", list)
	}
	play := d.room.Playback
	if play.Media.ID != "c" || play.Media.Seconds != 300 || play.Leader != "alice" {
		t.Errorf("playback %+v", play)
	}
	if !d.room.Allows(room.PermissionAdd, 0) {
		t.Error("the permissions of an unlocked playlist are not applied")
	}
	alice, _ := d.room.Users.Find("Alice")
	if diff := cmp.Diff(cytube.User{Name: "alice", Rank: 1.5, AFK: true, Muted: true}, alice); diff != "" {
		t.Errorf("alice (-want +got):\n%s", diff)
	}
}

// TestUndecodedEvents checks that events that nothing in the bot reads are published and counted under their names.
func TestUndecodedEvents(t *testing.T) {
	r := newRig(t)
	c := r.channel
	must(t, c.Join("owner"))
	events := r.watch()
	r.startJoined()
	must(t, c.SetMOTD("owner", "Tonight: <i>Alien</i>"))
	must(t, c.Poll("owner", "Next?", "Alien", "Brazil"))
	must(t, c.Vote("owner", 1))
	must(t, c.ClosePoll("owner"))
	must(t, c.UpdateEmote("owner", simulator.Emote{Name: ":rosey:", Image: "https://example.com/r.png"}))
	_, err := c.Do("owner", "chatMsg", map[string]string{"msg": "/d3 cheers"})
	must(t, err)
	must(t, c.Voteskip("owner"))
	uid, err := c.Queue("owner", simulator.Media{ID: "a", Type: "yt"}, simulator.QueueEnd)
	must(t, err)
	must(t, c.SetTemp("owner", uid, true))
	for _, name := range []string{
		"newPoll", "updatePoll", "closePoll", "updateEmote", "drinkCount", "voteskip", "setTemp",
	} {
		nextEvent(t, events, name)
	}
	for _, name := range []string{
		"setMotd", "newPoll", "updatePoll", "closePoll", "updateEmote", "drinkCount", "setTemp",
	} {
		if r.metric("rosey_cytube_events_total", name) == 0 {
			t.Errorf("%s is not counted", name)
		}
	}
	if count := r.metric("rosey_cytube_events_total", "other"); count != 0 {
		t.Errorf("%v events are counted as unknown", count)
	}
}

func TestSnapshot(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	must(t, r.channel.SetAFK("alice", true))
	must(t, r.channel.Mute("alice"))
	must(t, r.channel.Join("owner"))
	r.startJoined()
	_, err := r.channel.Queue("owner", simulator.Media{ID: "a", Type: "yt"}, simulator.QueueEnd)
	must(t, err)
	want := &room.Snapshot{
		Server: r.config.Channel.Server, Name: "movienight", Self: "Rosey", Connected: 3, Items: 2,
		Users:   []cytube.User{{Name: "Rosey", Rank: 3}, {Name: "alice", AFK: true, Muted: true}, {Name: "owner", Rank: 5}},
		Playing: &room.Playing{Title: "Livestream"},
	}
	var got *room.Snapshot
	r.eventually("the whole state", func() bool {
		got = r.bot.Snapshot(t.Context())
		return got != nil && got.Items == 2 && len(got.Users) == 3 && got.Connected == 3 && got.Users[0].Rank == 3 &&
			got.Playing != nil
	})
	want.Playing.Position = got.Playing.Position
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	must(t, r.stop())
	if got := r.bot.Snapshot(t.Context()); got != nil {
		t.Errorf("after the end: %+v", got)
	}
}
