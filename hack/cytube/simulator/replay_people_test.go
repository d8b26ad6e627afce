package simulator_test

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// The users and the channels of the captures.

// replayLimits returns the recorded server's limits, with a shorter delay between guest logins.
func replayLimits() simulator.Limits {
	limits := simulator.CyTubeLimits()
	limits.GuestLoginDelay = 2 * time.Second
	return limits
}

func replayOptions(playlist []simulator.Media) simulator.Options {
	return simulator.Options{
		Limits: replayLimits(),
		Accounts: []simulator.Account{
			{Name: "owner", Rank: 5},
			{Name: "rosey", Password: "pw-rosey", Rank: 3, ChannelRanks: map[string]float64{"private": 1}},
			{Name: "alice", Rank: 2},
			{Name: "bob", Password: "pw-bob", Rank: 1},
		},
		Channels: []simulator.ChannelOptions{{
			Name: "movienight",
			MOTD: "Tonight: <i>double feature</i>",
			Emotes: []simulator.Emote{{
				Name: ":rosey:", Source: `(^|\s):rosey:(?!\S)`, Image: "https://example.com/rosey.png",
			}},
			Playlist: playlist,
		}, {
			Name: "private", Password: "sesame",
		}},
	}
}

func live(name string, temp bool) simulator.Media {
	return simulator.Media{
		ID: "https://example.com/live/" + name + ".m3u8", Title: "Livestream", Type: "hl", Temp: temp, QueueBy: "owner",
	}
}

// The playlist before and after the evening.
var (
	playlistBefore = []simulator.Media{live("two", true)}
	playlistAfter  = []simulator.Media{live("two", true), live("three", true), live("one", false)}
)

func join(t *testing.T, sim *simulator.Server, channel, user string) {
	t.Helper()
	if err := sim.Channel(channel).Join(user); err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, sim *simulator.Server, user, text string) {
	t.Helper()
	if _, err := sim.Channel("movienight").Say(user, text); err != nil {
		t.Fatal(err)
	}
}

func leave(t *testing.T, sim *simulator.Server, user string) {
	t.Helper()
	if err := sim.Channel("movienight").Leave(user); err != nil {
		t.Fatal(err)
	}
}

// quiet lets enough time pass that nothing is delayed by earlier events, such as the next usercount.
func (b *bubble) quiet() { time.Sleep(time.Minute) }

// someChat leaves one line in the chat history.
func someChat(b *bubble) { b.visits("alice", "bye") }

// moreChat leaves two lines.
func moreChat(b *bubble) {
	someChat(b)
	b.visits("bob", "now?")
}

// visits lets a user join, say a line and leave.
func (b *bubble) visits(user, line string) {
	b.t.Helper()
	joins(user)(b)
	says(user, line)(b)
	leave(b.t, b.sim, user)
	b.quiet()
}

// floodOfChat fills the chat history.
func floodOfChat(b *bubble) {
	joins("bob")(b)
	for i := range 20 {
		says("bob", fmt.Sprint("spam ", i))(b)
	}
	leave(b.t, b.sim, "bob")
	b.quiet()
}

func ownerInPrivate(b *bubble) {
	join(b.t, b.sim, "private", "owner")
	b.quiet()
}

func ownerAndChat(b *bubble) {
	someChat(b)
	joins("owner")(b)
	b.quiet()
}

// eveningCues are the actions of the other users in the evening's capture, by the number of the first line that shows
// them. The typed text is reconstructed from the server's frames.
var eveningCues = map[int]func(*bubble){
	31: joinsUnnamed, // and logs in as alice below
	32: names("alice"),
	37: joinsUnnamed,
	38: names("popcorn_fan"),
	40: joinsUnnamed,
	41: names("Zoe-99"),
	45: joinsUnnamed,
	46: says("alice", "hello everyone"),
	47: says("popcorn_fan", `hi alice! <b>bold?</b> & "quotes"`),
	48: says("Zoe-99", "日本語 and emoji 🍿 https://example.com/?a=1&b=2"),
	49: says("alice", "/me waves"),
	50: says("owner", "*stars* _under_ `code`"),
	51: says("alice", ">greentext"),
	52: says("owner", "/sp spoiler text"),
	55: acts(func(c *simulator.Channel) error {
		_, err := c.PM("alice", "rosey", "psst: !stats")
		return err
	}),
	60: acts(func(c *simulator.Channel) error { return c.SetAFK("alice", true) }),
	62: says("alice", "back"),
	65: queues("one", simulator.QueueEnd, false),
	67: queues("three", simulator.QueueNext, true),
	69: acts(func(c *simulator.Channel) error { return c.ToggleLock("owner") }),
	70: acts(func(c *simulator.Channel) error { return c.ToggleLock("owner") }),
	71: acts(func(c *simulator.Channel) error { return c.SetMOTD("owner", "Tonight: <i>double feature</i>") }),
	72: acts(func(c *simulator.Channel) error { return c.AssignLeader("owner", "alice") }),
	73: acts(func(c *simulator.Channel) error { return c.AssignLeader("owner", "") }),
	76: acts(func(c *simulator.Channel) error { return c.Poll("owner", "Next film?", "Alien", "Brazil") }),
	77: acts(func(c *simulator.Channel) error { return c.Vote("alice", 0) }),
	78: acts(func(c *simulator.Channel) error { return c.ClosePoll("owner") }),
	79: acts(func(c *simulator.Channel) error {
		return c.UpdateEmote("owner", simulator.Emote{Name: ":rosey:", Image: "https://example.com/rosey.png"})
	}),
	80: acts(func(c *simulator.Channel) error { return c.Voteskip("popcorn_fan") }),
	81: acts(func(c *simulator.Channel) error { return c.SetRank("owner", "alice", 2) }),
	82: says("owner", "/d cheers"),
	84: says("owner", "/clear"),
	86: leaves("popcorn_fan"),
	89: func(b *bubble) { b.visitor.Leave() },
	90: says("alice", "bye"),
	91: leaves("alice"),
	96: leaves("Zoe-99"),
	99: leaves("owner"),
}

func joins(user string) func(*bubble) {
	return func(b *bubble) {
		b.t.Helper()
		join(b.t, b.sim, "movienight", user)
	}
}

// joinsUnnamed lets a visitor join without logging in.
func joinsUnnamed(b *bubble) { b.visitor = b.sim.Channel("movienight").Visit() }

// names logs in the last visitor.
func names(user string) func(*bubble) {
	return func(b *bubble) {
		b.t.Helper()
		if err := b.visitor.Login(user); err != nil {
			b.t.Fatal(err)
		}
	}
}

func leaves(user string) func(*bubble) {
	return func(b *bubble) {
		b.t.Helper()
		leave(b.t, b.sim, user)
	}
}

func says(user, text string) func(*bubble) {
	return acts(func(c *simulator.Channel) error {
		_, err := c.Say(user, text)
		return err
	})
}

func queues(name, position string, temp bool) func(*bubble) {
	return acts(func(c *simulator.Channel) error {
		_, err := c.Queue("owner", live(name, temp), position)
		return err
	})
}

func acts(act func(*simulator.Channel) error) func(*bubble) {
	return func(b *bubble) {
		b.t.Helper()
		if err := act(b.sim.Channel("movienight")); err != nil {
			b.t.Fatal(err)
		}
	}
}
