package simulator_test

import (
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// The people and the channels of the captures.

func replayOptions(playlist []simulator.Media) simulator.Options {
	return simulator.Options{
		// The recording's usercount frames came at once, since the channels had been quiet before.
		UsercountInterval: -1,
		Accounts: []simulator.Account{
			{Name: "owner", Rank: 5},
			{Name: "rosey", Password: "pw-rosey", Rank: 3, ChannelRanks: map[string]float64{"private": 1}},
			{Name: "alice", Rank: 2},
			{Name: "bob", Rank: 1},
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

// someChat leaves a line to replay.
func someChat(t *testing.T, sim *simulator.Server) {
	t.Helper()
	join(t, sim, "movienight", "alice")
	say(t, sim, "alice", "bye")
	leave(t, sim, "alice")
}

func ownerInPrivate(t *testing.T, sim *simulator.Server) {
	t.Helper()
	join(t, sim, "private", "owner")
}

func eveningBefore(t *testing.T, sim *simulator.Server) {
	t.Helper()
	someChat(t, sim)
	join(t, sim, "movienight", "owner")
}

// eveningCues is what the others did in the evening's capture, by the number of the line that shows it first. What
// they typed is known from what the server made of it.
var eveningCues = map[int]func(*testing.T, *simulator.Server, string){
	31: joins("alice"),
	37: joins("popcorn_fan"),
	40: joins("Zoe-99"),
	45: func(t *testing.T, _ *simulator.Server, url string) {
		t.Helper()
		connect(t, url).send(`42["joinChannel",{"name":"movienight"}]`)
	},
	46: says("alice", "hello everyone"),
	47: says("popcorn_fan", `hi alice! <b>bold?</b> & "quotes"`),
	48: says("Zoe-99", "日本語 and emoji 🍿 https://example.com/?a=1&b=2"),
	49: says("alice", "/me waves"),
	50: says("owner", "*stars* _under_ `code`"),
	51: says("alice", ">greentext"),
	52: says("owner", "/sp spoiler text"),
	55: func(t *testing.T, sim *simulator.Server, _ string) {
		t.Helper()
		if _, err := sim.Channel("movienight").PM("alice", "rosey", "psst: !stats"); err != nil {
			t.Fatal(err)
		}
	},
}

func joins(user string) func(*testing.T, *simulator.Server, string) {
	return func(t *testing.T, sim *simulator.Server, _ string) {
		t.Helper()
		join(t, sim, "movienight", user)
	}
}

func says(user, text string) func(*testing.T, *simulator.Server, string) {
	return func(t *testing.T, sim *simulator.Server, _ string) {
		t.Helper()
		say(t, sim, user, text)
	}
}

// loginAgain takes the name of the capture's client away from it.
func loginAgain(t *testing.T, _ *simulator.Server, url string) {
	t.Helper()
	second := connect(t, url)
	second.send(`42["joinChannel",{"name":"movienight"}]`)
	second.until("usercount")
	second.send(`42["login",{"name":"rosey","pw":"pw-rosey"}]`)
}
