package playlist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/playlist"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, playlist.New)
}

// film returns an item of a minute.
func film(uid int) plugin.Item { return plugintest.Film(uid, fmt.Sprintf("film %d", uid), 60) }

func TestWhatPlaysAndWhatFollows(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	alice := room.As("alice", plugin.Guest)
	long := plugintest.Film(1, "Solaris\n\tby bob", 9900)
	long.QueuedBy = "bob"
	room.Plays(&long, plugintest.Film(2, "Stalker", 59), plugintest.Film(3, "News", 0), film(4), film(5))
	room.Position(3661.9, true)
	alice.Says("!np").Expects(`^Now: Solaris by bob \(1:01:01 of 2:45:00, paused, added by bob\)$`)
	alice.Says("!upnext").Expects(`^Next: Stalker \[0:59\] · News \[live\] · film 4 \[1:00\] \(5 in the playlist\)$`)
	alice.Whispers("!now").Expects(`^Now: Solaris`)
	stream := plugintest.Film(3, "News", 0)
	room.Plays(&stream)
	alice.Says("!now").Expects(`^Now: News \(0:00\)$`)
	alice.Says("!shuffle").ExpectsRefused()
}

func TestLimitsOfOnePerson(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "2"),
		plugintest.Setting("maxPerHour", "4"))
	now := film(100)
	room.Plays(&now)
	alice, bob, mod := room.As("Alice", 1), room.As("bob", 1), room.As("mod", 2)
	room.As("guest", 0).Says("!request yt:a").ExpectsRefused()
	alice.Says("!request yt:a").Expects(`^Added Film yt:a \[1:30:00\]$`)
	alice.Says("!request yt:b").Expects("^Added")
	room.As("ALICE", 1).Says("!request yt:c").ExpectsWrong("2 of your items wait: at most 2")
	bob.Says("!request yt:d").Expects("^Added")
	for i := range 10 {
		mod.Says(fmt.Sprintf("!request yt:mod%d", i)).Expects("^Added")
	}
	room.PlaysNext() // Alice's first one begins
	room.Settle()
	alice.Says("!request yt:e").Expects("^Added")
	alice.Says("!request yt:f").ExpectsWrong("at most 2")
	room.Event(plugin.Deleted, map[string]any{"platform_data": map[string]any{"uid": 102}}) // her second one
	room.Settle()
	alice.Says("!request yt:g").Expects("^Added")
	room.Event("playlist", map[string]any{"platform_data": []any{map[string]any{"uid": 103}}}) // all but bob's
	room.Settle()
	alice.Says("!request yt:h").ExpectsWrong("4 items in an hour: at most 4")
	bob.Says("!request yt:i").Expects("^Added")
	bob.Says("!request yt:j").ExpectsWrong("at most 2")
	room.Pass(time.Hour)
	alice.Says("!request yt:k").Expects("^Added")
	bob.Says("!request yt:l").ExpectsWrong("at most 2")
	room.Pass(24 * time.Hour) // whatever has become of them
	bob.Says("!request yt:m").Expects("^Added")
}

// It begins before the plugin has noted it.
func TestWhatBeginsAtOnceDoesNotWait(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	alice := room.As("alice", 1)
	alice.Says("!request yt:a").Expects("^Added")
	alice.Says("!request yt:b").Expects("^Added")
	alice.Says("!request yt:c").ExpectsWrong("at most 1")
}

// The event that it begins comes while the plugin still asks what plays.
func TestWhatBeginsWhileItIsNotedDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	now := film(100)
	room.Plays(&now)
	room.Settle()
	alice := room.As("alice", 1)
	slow := room.HoldBack("state.media")
	added := make(chan *plugintest.Answer)
	go func() { added <- alice.Says("!request yt:a") }()
	slow.Await(1)
	room.PlaysNext()
	room.Settle()
	slow.Release()
	(<-added).Expects("^Added")
	alice.Says("!request yt:b").Expects("^Added")
}

func TestWhatIsRefusedDoesNotCount(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	now := film(100)
	room.Plays(&now)
	alice := room.As("alice", 1)
	for _, args := range []string{"", "a film", "yt:a yt:b"} {
		alice.Says("!request " + args).ExpectsWrong("expected")
	}
	alice.Says("!request film").ExpectsWrong("expected the link of a video")
	room.DenyOnce("act.playlist.add", "you may not add this")
	alice.Says("!request fi:x").ExpectsWrong("you may not add this")
	room.Away("act")
	alice.Says("!request yt:a").ExpectsFailed("nobody answers")
	room.Allow("act")
	alice.Says("!request yt:a").Expects("^Added")
}

// Whoever chooses a link that the server looks up slowly must not add without limits.
func TestWhatComesLateDoesNotPassTheLimits(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	alice := room.As("alice", 1)
	room.LeaveUnconfirmed(plugin.PlaylistAdd)
	alice.Says("!request yt:a").Expects("^The channel has not shown yet that it was done")
	alice.Says("!request yt:b").ExpectsWrong("at most 1")
	room.Allow("act.playlist.add")
	alice.Says("!request yt:b").ExpectsWrong("at most 1")
	room.Pass(time.Hour)
	alice.Says("!request yt:b").Expects("^Added")
}

// What came late counted as waiting for an hour, also when it was played long ago.
func TestWhatComesLateWaitsNoLongerThanUntilItPlays(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	one := film(1)
	room.Plays(&one)
	alice := room.As("alice", 1)
	room.LeaveUnconfirmed(plugin.PlaylistAdd)
	alice.Says("!request yt:a").Expects("^The channel has not shown yet that it was done")
	room.Allow("act.playlist.add")
	room.AddLate(room.Acts()[0].Action)
	room.Settle()
	alice.Says("!request yt:b").ExpectsWrong("at most 1")
	room.PlaysNext()
	room.Settle()
	alice.Says("!request yt:b").Expects("^Added")
}

// What the server refused late counted as waiting for an hour.
func TestWhatIsRefusedLateWaitsNoLonger(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("maxWaiting", "1"))
	alice := room.As("alice", 1)
	room.LeaveUnconfirmed(plugin.PlaylistAdd)
	alice.Says("!request yt:a").Expects("^The channel has not shown yet that it was done")
	room.Allow("act.playlist.add")
	alice.Says("!request yt:b").ExpectsWrong("at most 1")
	room.RefuseLate(plugin.Action{URL: "yt:x", Call: "of-another"}, "no")
	room.Settle()
	alice.Says("!request yt:b").ExpectsWrong("at most 1")
	room.RefuseLate(room.Acts()[0].Action, "This video has been deleted")
	room.Settle()
	alice.Says("!request yt:b").Expects("^Added")
}

// Each refusal wrote the key of the requests, also one of what nobody had requested.
func TestARefusalOfWhatIsNotNotedWritesNothing(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	type noted []map[string]any
	room.Store("requests", noted{{"uid": 1, "who": "alice", "at": 0}}) // too old: it goes with the next change
	room.RefuseLate(plugin.Action{URL: "yt:x", Call: "of-another"}, "no")
	room.Settle()
	var left noted
	if room.Stored("requests", &left); len(left) != 1 {
		t.Errorf("%v is noted, want the request that was there", left)
	}
}

// A database that is away must not let people add without limits.
func TestNothingIsAddedWithoutTheLimits(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	room.Away("kv")
	room.As("alice", 1).Says("!request yt:a").ExpectsFailed("nobody answers")
	if acts := room.Acts(); len(acts) > 0 {
		t.Errorf("it did %v", acts)
	}
}

func TestSkipByVotes(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("skipShare", "60"), plugintest.Setting("skipVotes", "2"))
	people := map[string]plugintest.Person{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		people[name] = room.As(name, 1)
		people[name].Joins()
	}
	room.As(plugintest.BotName, 3).Joins()
	guest := room.As("guest", 0)
	guest.Joins()
	people["f"].GoesAway()
	one, two, three := film(1), film(2), film(3)
	room.Plays(&one, two, three)
	room.Settle()
	guest.Says("!skip").ExpectsWrong("only registered people vote")
	people["a"].Says("!skip").Expects("^1 of 3 votes")
	people["a"].Says("!skip").Expects("^1 of 3 votes")
	people["f"].Says("!skip").Expects("^2 of 4 votes") // who is away counts by voting
	room.As("nobody", 1).Says("!skip").Expects("^2 of 4 votes")
	people["f"].Leaves()
	people["b"].Says("!skip").Expects("^2 of 3 votes")
	room.PlaysNext() // film 2
	room.Settle()
	people["a"].Says("!skip").Expects("^1 of 3 votes")
	people["b"].Says("!skip").Expects("^2 of 3 votes")
	people["c"].Says("!skip").Expects("^Skipped, by 3 votes")
	room.Settle()
	people["c"].Says("!now").Expects("film 3")
	people["c"].Says("!skip").Expects("^1 of 3 votes")
}

// However few are present.
func TestOnePersonDoesNotSkip(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	one := film(1)
	room.Plays(&one)
	alice := room.As("alice", 1)
	alice.Joins()
	room.Settle()
	alice.Says("!skip").Expects("^1 of 2 votes")
}

func TestGuestsVoteWhereTheyMay(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("guestsVote", "true"))
	one := film(1)
	room.Plays(&one, film(2))
	room.Settle()
	for _, name := range []string{"a", "b", "c"} {
		room.As(name, 0).Joins()
	}
	room.As("a", 0).Says("!skip").Expects("^1 of 2 votes")
	room.As("b", 0).Says("!skip").Expects("^Skipped")
}

// Two people vote last at the same moment: what follows is not skipped, too.
func TestTwoLastVotesSkipOnce(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	one := film(1)
	room.Plays(&one, film(2), film(3))
	room.Settle()
	people := []plugintest.Person{room.As("a", 1), room.As("b", 1), room.As("c", 1)}
	for _, one := range people {
		one.Joins()
	}
	people[0].Says("!skip").Expects("^1 of 2 votes")
	room.Away("kv.delete") // the votes are not forgotten as soon as it is skipped
	slow := room.HoldBack("state.users")
	answers := make(chan *plugintest.Answer)
	for _, one := range people[1:] {
		go func() { answers <- one.Says("!skip") }()
	}
	slow.Await(2)
	slow.Release()
	skipped := 0
	for range 2 {
		if one := <-answers; one.Wrong == "" && strings.HasPrefix(one.Text(), "Skipped") {
			skipped++
		}
	}
	if skipped != 1 {
		t.Errorf("%d people were told that it is skipped", skipped)
	}
	if acts := room.Acts(); len(acts) != 1 || acts[0].UID != 1 {
		t.Errorf("it did %v", acts)
	}
}

// What the server may do yet was told as a usage error, which costs no cooldown, and tried again with the next vote.
func TestWhatIsSkippedLateIsNotSkippedTwice(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("skipVotes", "1"))
	one := film(1)
	room.Plays(&one, film(2))
	room.Settle()
	alice, mod := room.As("alice", 1), room.As("mod", 2)
	alice.Joins()
	for _, verb := range []plugin.Verb{plugin.PlaylistSkip, plugin.PlaylistRemove, plugin.PlaylistShuffle} {
		room.LeaveUnconfirmed(verb)
	}
	const late = "^The channel has not shown yet that it was done"
	if !alice.Says("!skip").Expects(late).Cooldown {
		t.Error("it spends no cooldown")
	}
	alice.Says("!skip").ExpectsWrong("it is being skipped")
	mod.Says("!dead").Expects(late)
	mod.Says("!shuffle").Expects(late)
	if acts := room.Acts(); len(acts) != 3 {
		t.Errorf("it did %v", acts)
	}
	room.Pass(61 * time.Second)
	room.Allow("act.playlist.skip")
	alice.Says("!skip").Expects("^Skipped")
}

func TestASkipThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New(), plugintest.Setting("skipVotes", "1"))
	one := film(1)
	room.Plays(&one, film(2))
	room.Settle()
	alice := room.As("alice", 1)
	alice.Joins()
	room.DenyOnce("act", "the bot may not")
	alice.Says("!skip").ExpectsWrong("the bot may not")
	alice.Says("!skip").Expects("^Skipped")
}

func TestModeratorsRemoveWhatIsDead(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	one, hidden := film(1), film(0)
	room.Plays(&one, film(2))
	room.As("alice", 1).Says("!dead").ExpectsRefused()
	mod := room.As("mod", 2)
	mod.Says("!dead").Expects("^Removed film 1$")
	room.Plays(&hidden) // the bot cannot see the playlist
	mod.Says("!dead").Expects("^Skipped film 0$")
	mod.Says("!dead").ExpectsWrong("nothing plays")
	if acts := room.Acts(); len(acts) != 2 || acts[0].Verb != plugin.PlaylistRemove || acts[0].UID != 1 ||
		acts[1].Verb != plugin.PlaylistSkip {
		t.Errorf("it did %v", acts)
	}
}

func TestWhatStandsStillIsSkipped(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	long := plugintest.Film(1, "stuck", 3600)
	room.Plays(&long, film(2))
	room.Position(3000, false)
	room.Pass(5 * time.Minute)
	room.Position(3000, true)
	room.Pass(5 * time.Hour) // paused
	room.Position(3005, false)
	room.Pass(11 * time.Minute) // ten are left, and two are the grace
	if acts := room.Acts(); len(acts) > 0 {
		t.Fatalf("it did %v", acts)
	}
	room.Pass(2 * time.Minute)
	room.Hears(`^Skipped stuck: it stood still\.$`)
	if acts := room.Acts(); len(acts) != 1 || acts[0].Verb != plugin.PlaylistSkip || acts[0].UID != 1 {
		t.Errorf("it did %v", acts)
	}
}

func TestWhatGoesOnIsNotSkipped(t *testing.T) {
	t.Parallel()
	for name, room := range map[string]*plugintest.Room{
		"goes on": plugintest.Open(t, playlist.New()), "live": plugintest.Open(t, playlist.New()),
		"switched off": plugintest.Open(t, playlist.New(), plugintest.Setting("skipDead", "false")),
	} {
		one := film(1)
		if name == "live" {
			one.Seconds = 0
		}
		room.Plays(&one)
		for i := range 20 {
			if name == "goes on" {
				room.Position(float64(i%2)*30, false) // again and again from the beginning
			}
			room.Pass(30 * time.Second)
		}
		if acts := room.Acts(); len(acts) > 0 {
			t.Errorf("%s: it did %v", name, acts)
		}
	}
}

// It must not skip again and again, or without end.
func TestWhatCannotBeSkippedIsNotTriedAtEachLook(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, playlist.New())
	one := film(1)
	room.Plays(&one)
	room.Position(60, false)
	room.Refuse(plugin.PlaylistSkip, "no")
	room.Pass(10 * time.Minute)
	if acts := room.Acts(); len(acts) != 1 {
		t.Errorf("it did %v", acts)
	}
	room.Silent()
}
