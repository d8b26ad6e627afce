package bot

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/cytube"
)

// driven is a session whose events the test takes itself, so that it can look at the state in between.
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
	d.until("in the channel", func(*channel) bool { return d.joined })
	return d
}

// until takes events up to the one after which a condition holds.
func (d *driven) until(what string, holds func(*channel) bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	for !holds(d.channel) {
		arrived, err := d.conn.Next(ctx)
		if err != nil {
			d.t.Fatalf("waiting for %s: %v", what, err)
		}
		d.handle(arrived)
	}
}

// TestChannelState has people change everything about a channel, and sees that the bot knows.
func TestChannelState(t *testing.T) {
	r := newRig(t)
	c := r.channel
	must(t, c.Join("owner"))
	for _, name := range []string{"alice", "bob", "carol"} {
		must(t, c.Join(name))
	}
	d := r.drive()
	d.until("the bot's rank", func(c *channel) bool { return c.rank == 3 })
	uids := map[string]int{}
	add := func(id, position string, temp bool) {
		uid, err := c.Queue("owner", simulator.Media{ID: id, Type: "yt", Temp: temp}, position)
		must(t, err)
		uids[id] = uid
	}
	add("a", simulator.QueueEnd, false)
	add("b", simulator.QueueEnd, true)
	add("c", simulator.QueueNext, false)
	must(t, c.Move("owner", uids["a"], uids["b"]))
	must(t, c.SetTemp("owner", uids["a"], true))
	must(t, c.Delete("owner", 0)) // the live stream that played
	must(t, c.ToggleLock("owner"))
	must(t, c.SetMOTD("owner", "Tonight: <i>Alien</i>"))
	must(t, c.AssignLeader("owner", "alice"))
	must(t, c.Poll("owner", "Next?", "Alien", "Brazil"))
	must(t, c.Vote("owner", 1))
	must(t, c.UpdateEmote("owner", simulator.Emote{Name: ":rosey:", Image: "https://example.com/r.png"}))
	must(t, c.SetAFK("alice", true))
	must(t, c.Mute("alice"))
	_, err := c.Do("owner", "chatMsg", map[string]string{"msg": "/d3 cheers"})
	must(t, err)
	must(t, c.Voteskip("owner"))
	d.until("the vote to skip", func(c *channel) bool { return c.voteskip.Count == 1 })

	items := []string{}
	for _, item := range d.channel.playlist.items {
		items = append(items, item.Media.ID)
	}
	if diff := cmp.Diff([]string{"c", "b", "a"}, items); diff != "" {
		t.Errorf("playlist (-want +got):\n%s", diff)
	}
	last := d.channel.playlist.items[2]
	if !last.Temp || last.QueuedBy != "owner" || d.channel.playlist.current != uids["c"] || d.channel.playlist.count != 3 {
		t.Errorf("playlist %+v", d.channel.playlist)
	}
	if d.channel.playing.media.ID != "c" || d.channel.playing.media.Seconds != 300 || d.channel.playlist.locked {
		t.Errorf("plays %+v, locked: %v", d.channel.playing, d.channel.playlist.locked)
	}
	poll := &cytube.Poll{
		Title: "Next?", Options: []string{"Alien", "Brazil"}, Counts: []string{"0", "1"}, Initiator: "owner"}
	if diff := cmp.Diff(poll, d.channel.poll); diff != "" {
		t.Errorf("poll (-want +got):\n%s", diff)
	}
	if d.channel.motd != "Tonight: <i>Alien</i>" || d.channel.leader != "alice" || d.channel.drinks != 3 {
		t.Errorf("motd %q, leader %q, %d drinks", d.channel.motd, d.channel.leader, d.channel.drinks)
	}
	if diff := cmp.Diff(emotes{":rosey:": "https://example.com/r.png"}, d.channel.emotes); diff != "" {
		t.Errorf("emotes (-want +got):\n%s", diff)
	}
	alice, _ := d.channel.users.find("Alice")
	if diff := cmp.Diff(cytube.User{Name: "alice", Rank: 1.5, AFK: true, Muted: true}, alice); diff != "" {
		t.Errorf("alice (-want +got):\n%s", diff)
	}
	must(t, c.ClosePoll("owner"))
	d.until("no poll", func(c *channel) bool { return c.poll == nil })
}

func TestPlaylistPlaces(t *testing.T) {
	list := func() *playlist {
		p := &playlist{}
		for uid := range 4 {
			p.insert(cytube.Item{UID: uid}, cytube.Place{Last: true})
		}
		return p
	}
	for from := range 4 {
		for to := range 4 {
			p := list()
			p.apply(cytube.MoveVideo{UID: from, After: p.placeFor(from, to)})
			if p.items[to].UID != from || len(p.items) != 4 {
				t.Errorf("from %d to %d: %+v", from, to, p.items)
			}
		}
	}
	p := list()
	p.apply(cytube.Queue{Item: cytube.Item{UID: 9}, After: cytube.Place{UID: 77}})
	if p.items[4].UID != 9 {
		t.Errorf("behind an item that is not there: %+v", p.items)
	}
	p.apply(cytube.PlaylistMeta{Count: 0})
	if len(p.items) != 0 {
		t.Errorf("an empty playlist has %+v", p.items)
	}
}

func TestPermissionsOfAnUnlockedPlaylist(t *testing.T) {
	p := permissions{}
	if p.allow(permissionChat, 5) {
		t.Error("allowed before anything is known")
	}
	p.apply(cytube.Permissions{Ranks: map[string]float64{"playlistadd": 2, "oplaylistadd": -1, "chat": 0}})
	if p.allow(permissionAdd, 1) || !p.allow(permissionAdd, 2) || p.allow("unheard-of", 5) {
		t.Error("wrong while locked")
	}
	p.apply(cytube.PlaylistLocked{Locked: false})
	if !p.allow(permissionAdd, 0) || p.allow(permissionChat, -1) {
		t.Error("wrong while unlocked")
	}
}

func TestPlayingGoesOn(t *testing.T) {
	p := playing{media: cytube.Media{ID: "a", Seconds: 100}, position: 10, at: time.Now().Add(-20 * time.Second)}
	if at := p.now(); at < 30 || at > 31 {
		t.Errorf("at %v s", at)
	}
	p.paused = true
	if at := p.now(); at != 10 {
		t.Errorf("paused at %v s", at)
	}
	p.paused, p.position = false, 95
	if at := p.now(); at != 100 {
		t.Errorf("at %v s, behind the end", at)
	}
}
