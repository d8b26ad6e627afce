package polls_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/polls"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, polls.New)
}

func link(name string) string { return "https://youtu.be/" + name }

// nominated is a room in which these people have nominated a film each.
func nominated(t *testing.T, people ...string) *plugintest.Room {
	t.Helper()
	room := plugintest.Open(t, polls.New())
	for _, name := range people {
		room.As(name, plugin.Registered).Says("!nominate " + link(name) + " Film of " + name).Expects("nominates")
	}
	return room
}

// acts returns what the plugin did, as verbs with links.
func acts(room *plugintest.Room) string {
	var all []string
	for _, act := range room.Acts() {
		all = append(all, strings.TrimSpace(string(act.Verb)+" "+act.URL))
	}
	return strings.Join(all, ", ")
}

func TestAPoll(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, polls.New())
	mod, guest := room.As("mod", plugin.Moderator), room.As("guest", plugin.Guest)
	guest.Says("!poll Tea? | yes | no").ExpectsRefused()
	mod.Says("!poll  Tea,  or coffee? | Tea || Coffee | hidden").Expects("is open")
	opened := room.Acts()[0]
	if opened.Title != "Tea, or coffee?" || strings.Join(opened.Options, ",") != "Tea,Coffee" || !opened.ObscureResults {
		t.Errorf("opened %+v", opened)
	}
	mod.Says("!poll Again? | yes | no").ExpectsWrong("a poll of Rosey is open")
	guest.Says("!pollresult").Expects("^📊 Tea, or coffee\\?: the votes are hidden")
	room.Vote(1, 3)
	guest.Says("!endpoll").ExpectsRefused()
	mod.Says("!endpoll").Expects(`^📊 Tea, or coffee\?: Coffee 3, Tea 1$`)
	expectClosed(t, room)
	mod.Says("!endpoll").ExpectsWrong("no poll is open")
	mod.Says("!poll A.B.C").Expects("is open")
	room.Vote(2, 0)
	guest.Says("!result").Expects(`^📊 A: B 2, C 0, so far$`)
	room.Pass(time.Minute)
	room.Silent()
}

func TestBadPolls(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, polls.New())
	mod := room.As("mod", plugin.Moderator)
	for args, want := range map[string]string{
		"": "two options", "| | |": "two options", "a | b": "two options", "a | b | hidden": "two options",
		strings.Repeat("x", 256) + " | b | c": "at most 255 bytes", "a" + strings.Repeat("|b", 51): "at most 50",
	} {
		mod.Says("!poll " + args).ExpectsWrong(want)
	}
	room.Refuse(plugin.PollOpen, "the channel does not let me open polls")
	mod.Says("!poll a | b | c").ExpectsWrong("does not let me open polls")
	if len(room.Acts()) != 1 {
		t.Errorf("the plugin did %s", acts(room))
	}
}

func TestTheWinnerIsAdded(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob", "carol")
	mod := room.As("mod", plugin.Moderator)
	room.As("alice", plugin.Registered).Says("!moviepoll").ExpectsRefused()
	mod.Says("!moviepoll 1m").Expects(`^Vote in the poll on 3 films: it is open for 1m0s\.$`)
	mod.Says("!moviepoll").ExpectsWrong("runs already")
	opened := room.Acts()[0]
	if opened.Title != "What do we watch?" || strings.Join(opened.Options, ", ") !=
		"Film of alice – alice, Film of bob – bob, Film of carol – carol" {
		t.Errorf("opened %+v", opened)
	}
	room.Vote(1, 4, 2)
	room.Pass(59 * time.Second)
	room.Silent()
	room.Pass(time.Second)
	room.Hears(`^📊 Film of bob 4, Film of carol 2, Film of alice 1$`)
	room.Hears(`^🏆 Film https://youtu\.be/bob, nominated by bob, is added to the playlist\.$`)
	if got := acts(room); got != "poll.open, poll.close, playlist.add "+link("bob") {
		t.Errorf("the plugin did %s", got)
	}
	// The others stay nominated, and the winner's nominator may nominate again.
	mod.Says("!nominations").Expects(`^1\. Film of alice – alice; 2\. Film of carol – carol$`)
	room.As("bob", plugin.Registered).Says("!nominate " + link("new")).
		Expects(`^bob nominates https://youtu\.be/new\. 3 of 10 `)
	room.Pass(time.Hour)
	room.Silent()
}

// expectClosed fails the test unless the last thing that the plugin did is to close the last poll of the channel, and
// no other that somebody may have opened meanwhile.
func expectClosed(t *testing.T, room *plugintest.Room) {
	t.Helper()
	all := room.Acts()
	if act := all[len(all)-1]; act.Verb != plugin.PollClose || act.Opened == 0 || act.Opened != room.Poll().Opened {
		t.Errorf("the plugin did %+v about the poll %+v", act, room.Poll())
	}
}

// A moderator closes the poll before its time, by command or in the page of the channel.
func TestAPollThatSomebodyClosesCounts(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(room *plugintest.Room){
		"by command": func(room *plugintest.Room) {
			room.As("mod", plugin.Moderator).Says("!endpoll").Expects(`^The poll is closed\.$`)
		},
		"in the page": func(room *plugintest.Room) { room.ClosePoll() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			room := nominated(t, "alice", "bob")
			room.As("mod", plugin.Moderator).Says("!moviepoll")
			room.Vote(2, 1)
			closes(room)
			if name == "by command" {
				expectClosed(t, room)
			}
			room.Pass(time.Second)
			room.Hears(`^📊 Film of alice 2`)
			room.Hears(`^🏆 .*alice, nominated by alice, is added`)
		})
	}
}

// CyTube closes a poll when another one is opened.
func TestAPollThatIsReplacedCounts(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(0, 1)
	room.Pass(time.Second)
	room.OpenPoll("mod", "Pizza?", "yes", "no")
	room.Vote(9, 0)
	room.Pass(time.Second)
	room.Hears(`^Another poll was opened: the votes so far count\.$`)
	room.Hears(`^📊 Film of bob 1, Film of alice 0$`)
	room.Hears(`^🏆 .*bob, nominated by bob, is added`)
	if got := acts(room); got != "poll.open, playlist.add "+link("bob") { // the other poll stays open
		t.Errorf("the plugin did %s", got)
	}
	room.As("mod", plugin.Moderator).Says("!moviepoll").ExpectsWrong("1 nominations")
	room.As("bob", plugin.Registered).Says("!nominate " + link("bob"))
	room.As("mod", plugin.Moderator).Says("!moviepoll").ExpectsWrong("a poll of mod is open")
	room.ClosePoll()
	room.As("mod", plugin.Moderator).Says("!moviepoll").Expects("^Vote")
}

// When the bot joins again, it sees no poll at first. If none comes, it was closed meanwhile.
func TestTheBotReconnectsDuringAVote(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(3, 1)
	room.Pass(time.Second)
	seen := room.Poll()
	room.Polls(nil)
	room.Pass(9 * time.Second)
	room.Polls(seen)
	room.Pass(20 * time.Second)
	room.Polls(nil)
	room.Pass(5 * time.Second)
	room.Polls(seen)
	room.Pass(20 * time.Second)
	room.Silent()
	room.Polls(nil)
	room.Pass(11 * time.Second)
	room.Hears(`^The poll was closed while I was away: the votes that I saw count\.$`)
	room.Hears(`^📊 Film of alice 3, Film of bob 1$`)
	room.Hears(`^🏆 .* nominated by alice`)
}

// Nobody knows how a poll ended that the bot has not seen for long.
func TestAVoteIsGivenUpWhileTheBotIsAway(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	mod.Says("!moviepoll")
	room.Deny("state.poll", "no bot")
	room.Pass(time.Hour)
	room.Allow("state.poll")
	room.ClosePoll()
	room.Pass(time.Hour)
	room.Silent()
	mod.Says("!nominations").Expects("Film of alice – alice; 2. Film of bob")
	mod.Says("!moviepoll").Expects("^Vote")
}

// storedVote returns what is stored of a vote, and of the nominations of alice and bob.
func storedVote(t *testing.T, room *plugintest.Room) (vote, alice, bob any) {
	t.Helper()
	if !room.Stored("vote", &vote) || !room.Stored("nominee/alice", &alice) || !room.Stored("nominee/bob", &bob) {
		t.Fatal("the vote is not stored")
	}
	return vote, alice, bob
}

// The plugin is started again in the middle of a vote.
func TestAVoteOutlastsARestart(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(1, 2)
	stored, alice, bob := storedVote(t, room)
	poll := room.Poll()
	again := plugintest.Open(t, polls.New(), plugintest.Stored("vote", stored),
		plugintest.Stored("nominee/alice", alice), plugintest.Stored("nominee/bob", bob))
	again.Polls(poll)
	again.As("mod", plugin.Moderator).Says("!moviepoll").ExpectsWrong("runs already")
	again.Pass(2 * time.Minute)
	again.Hears(`^📊 Film of bob 2, Film of alice 1$`)
	again.Hears(`^🏆 .* nominated by bob`)
}

// The plugin ended while it opened a poll: a vote without one does not stand in the way for ever.
func TestAVoteWithoutAPollIsRemoved(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, polls.New(), plugintest.Stored("vote", map[string]any{
		"title": "x", "begun": plugintest.Epoch.Unix(), "ends": plugintest.Epoch.Add(time.Hour).Unix(),
	}))
	room.Pass(59 * time.Second)
	if !room.Stored("vote", new(any)) {
		t.Error("it is removed before the poll can be open")
	}
	room.Pass(2 * time.Second)
	if room.Stored("vote", new(any)) {
		t.Error("it stays")
	}
}

// answers gives a command whose answer has to wait for a request that is held back, and returns what became of it.
func answers(says func() *plugintest.Answer) <-chan *plugintest.Answer {
	answered := make(chan *plugintest.Answer, 1)
	go func() { answered <- says() }()
	return answered
}

// opening begins a vote up to where its poll is open, and the bot has not answered yet.
func opening(room *plugintest.Room, mod plugintest.Person) (opens *plugintest.Held, answer <-chan *plugintest.Answer) {
	opens = room.HoldBack("act.poll.open")
	answer = answers(func() *plugintest.Answer { return mod.Says("!moviepoll") })
	opens.Await(1)
	return opens, answer
}

// A request is done and its reply lost, or another process has begun a vote: what this process does not know blocked
// every other vote until it was started again.
func TestAStoredVoteThatTheProcessDoesNotKnowBlocksNoOther(t *testing.T) {
	t.Parallel()
	t.Run("another process has begun and ended one without a poll", func(t *testing.T) {
		t.Parallel()
		room := nominated(t, "alice", "bob")
		mod := room.As("mod", plugin.Moderator)
		room.Pass(2 * time.Second) // it has read that there is none
		room.Store("vote", map[string]any{
			"title": "x", "begun": room.Now().Unix(), "ends": room.Now().Add(time.Hour).Unix(),
		})
		mod.Says("!moviepoll").ExpectsWrong("runs already")
		room.Pass(61 * time.Second)
		mod.Says("!moviepoll").Expects("^Vote")
	})
	t.Run("it could not be removed", func(t *testing.T) {
		t.Parallel()
		room := nominated(t, "alice", "bob")
		mod := room.As("mod", plugin.Moderator)
		room.Pass(2 * time.Second)
		room.Refuse(plugin.PollOpen, "not permitted")
		room.Away("kv.delete")
		mod.Says("!moviepoll")
		room.Allow("act.poll.open")
		room.Allow("kv.delete")
		mod.Says("!moviepoll").ExpectsWrong("runs already")
		room.Pass(61 * time.Second)
		mod.Says("!moviepoll").Expects("^Vote")
	})
	t.Run("its last change was done and not confirmed", func(t *testing.T) {
		t.Parallel()
		room := nominated(t, "alice", "bob")
		mod := room.As("mod", plugin.Moderator)
		room.Pass(2 * time.Second)
		looks := room.HoldBack("state.poll") // open looks whether a poll is open, and know which it is
		answer := answers(func() *plugintest.Answer { return mod.Says("!moviepoll") })
		looks.Await(1)
		var stored map[string]any
		if !room.Stored("vote", &stored) {
			t.Fatal("the vote is not stored")
		}
		stored["known"], stored["opened"] = true, 1
		room.Store("vote", stored)
		looks.Release()
		if one := <-answer; len(one.Lines) > 0 {
			t.Errorf("answered %q", one.Text())
		}
		if room.Poll() == nil || room.Poll().Open {
			t.Errorf("the poll %+v, want one that is closed", room.Poll())
		}
		room.Pass(2 * time.Minute)
		room.Hears("^Another poll was opened")
		room.Hears("^I have seen no votes")
		mod.Says("!moviepoll").Expects("^Vote")
	})
}

// Two processes of the plugin run, or one begins while the other ends.
func TestAVoteOutlastsTheProcessThatBeganIt(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll 5m")
	room.Vote(1, 2)
	stored, alice, bob := storedVote(t, room)
	other := plugintest.Open(t, polls.New(), plugintest.Stored("nominee/alice", alice),
		plugintest.Stored("nominee/bob", bob))
	other.Pass(2 * time.Second) // it has read that there is none
	other.Store("vote", stored)
	other.Polls(room.Poll())
	other.Pass(5 * time.Minute)
	other.Hears(`^📊 Film of bob 2, Film of alice 1$`)
	other.Hears(`^🏆 .* nominated by bob`)
}

// No process runs that could give it up.
func TestAVoteThatNobodyEndsIsNotStoredForEver(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	mod.Says("!moviepoll")
	room.Away("state.poll")
	room.Away("kv.delete")
	room.Pass(time.Hour)
	if room.Stored("vote", new(any)) {
		t.Error("it is stored")
	}
	room.Allow("state.poll")
	room.Allow("kv.delete")
	room.ClosePoll()
	room.Pass(time.Minute)
	room.Silent()
	mod.Says("!moviepoll").Expects("^Vote")
}

// The bot opens the poll of a vote, and then there is no vote.
func TestAPollWithoutAVoteStaysOpenForNobody(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	opens, answer := opening(room, mod)
	room.DenyOnce("kv.set", "away")
	opens.Release()
	if one := <-answer; !strings.Contains(one.Failed, "away") {
		t.Errorf("answered %+v", one)
	}
	if room.Poll().Open {
		t.Error("the poll is open")
	}

	opens, answer = opening(room, mod)
	room.DenyOnce("kv.set", "away")
	room.Refuse(plugin.PollClose, "not permitted")
	opens.Release()
	if one := <-answer; !strings.Contains(one.Wrong, "the poll is open, but its votes do not count") {
		t.Errorf("answered %+v", one)
	}
	room.Allow("act.poll.close")
	mod.Says("!endpoll").Expects("Film of alice")
	mod.Says("!moviepoll").Expects("^Vote")
}

// Where the bot does not say which poll it has opened, the one that is open may be that of somebody else.
func TestAVoteThatCannotBeginClosesNoPollOfOthers(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	opens, answer := opening(room, mod)
	room.OpenPoll("mod", "Pizza?", "yes", "no")
	room.DenyOnce("state.poll", "away")
	opens.Release()
	if one := <-answer; !strings.Contains(one.Wrong, "the poll is open, but its votes do not count") {
		t.Errorf("answered %+v", one)
	}
	if now := room.Poll(); !now.Open || now.Title != "Pizza?" {
		t.Errorf("the poll is %+v, want the other one, open", now)
	}
}

func TestATieIsDrawn(t *testing.T) {
	t.Parallel()
	won := map[string]bool{}
	for i := 0; i < 100 && len(won) < 2; i++ {
		room := nominated(t, "alice", "bob", "carol")
		room.As("mod", plugin.Moderator).Says("!moviepoll")
		room.Vote(2, 1, 2)
		room.ClosePoll()
		room.Pass(time.Second)
		room.Hears(`^📊 Film of alice 2, Film of carol 2, Film of bob 1$`)
		drawn := room.Hears(`^A tie of 2: the lot falls on Film of (alice|carol)\.$`).Text
		name := strings.TrimSuffix(drawn[strings.LastIndex(drawn, " ")+1:], ".")
		room.Hears(`^🏆 .* nominated by ` + name)
		won[name] = true
	}
	if len(won) != 2 {
		t.Errorf("only %v ever wins", won)
	}
}

func TestNobodyVotes(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Pass(2 * time.Minute)
	room.Hears(`^📊 `)
	room.Hears(`^Nobody voted for what is nominated\. Nothing is added, and the nominations stay\.$`)
	room.As("mod", plugin.Moderator).Says("!moviepoll").Expects("^Vote")
	if strings.Contains(acts(room), "add") {
		t.Errorf("the plugin did %s", acts(room))
	}
}

// What was withdrawn during the vote does not win.
func TestAWithdrawnFilmDoesNotWin(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob", "carol")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(5, 4, 3)
	room.As("alice", plugin.Registered).Says("!unnominate").Expects("Withdrawn")
	room.As("bob", plugin.Registered).Says("!unnominate @bob").Expects("Withdrawn")
	room.As("bob", plugin.Registered).Says("!nominate " + link("other") + " Film of bob") // not what people voted for
	room.Pass(2 * time.Minute)
	room.Hears(`^🏆 .* nominated by carol`)
}

func TestAWinnerThatCannotBeAddedIsTold(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	mod.Says("!moviepoll")
	room.Vote(1, 0)
	room.Refuse(plugin.PlaylistAdd, "it is in the playlist already")
	room.Pass(2 * time.Minute)
	room.Hears(`^🏆 Film of alice has won, but could not be added: it is in the playlist already\. The link: ` +
		link("alice"))
	mod.Says("!nominations").Expects(`^1\. Film of bob – bob$`) // it would win and fail again
	room.Pass(time.Hour)
	if got := acts(room); got != "poll.open, poll.close, playlist.add "+link("alice") {
		t.Errorf("the plugin did %s", got)
	}
}

// A server that is slow adds it later.
func TestAWinnerThatComesLateIsNotCalledRefused(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(1, 0)
	room.LeaveUnconfirmed(plugin.PlaylistAdd)
	room.Pass(2 * time.Minute)
	room.Hears(`^🏆 Film of alice, nominated by alice, has won\. The channel has not shown yet that it was added\. ` +
		`The link: ` + link("alice"))
}

// The bot lost the permission to close polls.
func TestAPollThatCannotBeClosedCounts(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	room.As("mod", plugin.Moderator).Says("!moviepoll")
	room.Vote(1, 0)
	room.Refuse(plugin.PollClose, "not permitted")
	room.Pass(150 * time.Second)
	expectClosed(t, room) // it is tried
	room.Pass(150 * time.Second)
	room.Hears(`^I cannot close the poll: the votes so far count\.$`)
	room.Hears(`^📊 `)
	room.Hears(`^🏆 .* nominated by alice`)
}

// The poll is not opened: the next vote can begin at once.
func TestAVoteWhosePollIsRefusedIsNone(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	room.Refuse(plugin.PollOpen, "not permitted")
	mod.Says("!moviepoll").ExpectsWrong("not permitted")
	room.Allow("act.poll.open")
	room.OpenPoll("mod", "Pizza?", "yes", "no")
	mod.Says("!moviepoll").ExpectsWrong("a poll of mod is open")
	room.ClosePoll()
	mod.Says("!moviepoll").Expects("^Vote")
}

// Whoever tries again at once would have two polls opened one after the other.
func TestWhatAPollCommandDoesLateIsNoUsageError(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	mod := room.As("mod", plugin.Moderator)
	room.LeaveUnconfirmed(plugin.PollOpen)
	for line, want := range map[string]string{
		"!poll Tea? | yes | no": "^The channel has not shown yet that it was done", "!moviepoll": "its votes do not count",
	} {
		if !mod.Says(line).Expects(want).Cooldown {
			t.Errorf("%s spends no cooldown", line)
		}
	}
	room.OpenPoll("mod", "Pizza?", "yes", "no")
	room.LeaveUnconfirmed(plugin.PollClose)
	mod.Says("!endpoll").Expects("^The channel has not shown yet that it was done")
	room.ClosePoll()
	room.Allow("act.poll.open")
	mod.Says("!moviepoll").Expects("^Vote") // the one before is none
}

// A film has several links.
func TestAFilmIsNominatedOnce(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice")
	bob := room.As("bob", plugin.Registered)
	bob.Says("!nominate https://www.youtube.com/watch?v=alice").ExpectsWrong("alice has nominated this already")
	bob.Says("!nominate https://www.youtube.com/watch?v=bob").Expects("2 of 10")
}

func TestNominations(t *testing.T) {
	t.Parallel()
	room := nominated(t, "alice", "bob")
	alice, mod := room.As("ALICE", plugin.Registered), room.As("mod", plugin.Moderator)
	dave := room.As("dave", plugin.Registered)
	room.As("guest", plugin.Guest).Says("!nominate " + link("x")).ExpectsRefused()
	alice.Says("!nominate " + link("x")).ExpectsWrong("you have nominated Film of alice already")
	dave.Says("!nominate " + link("bob")).ExpectsWrong("bob has nominated this already")
	dave.Says("!nominate ftp-link").ExpectsWrong("the link of a video")
	mod.Says("!nominate fi:https://example.net/film.mp4").ExpectsWrong("registered users may not add this")
	dave.Says("!nominate " + link(strings.Repeat("x", 200))).ExpectsWrong("at most 180 bytes")
	dave.Says("!nominate yt:\u202ex").ExpectsWrong("expected a link")
	dave.Says("!nominate yt:d " + strings.Repeat("é\u202e", 300)).Expects(`^dave nominates (é\x{FFFD})+é?…\. 3 of 10`)
	dave.Says("!unnominate bob").ExpectsWrong("only moderators")
	mod.Says("!unnominate nobody").ExpectsWrong("nobody of that name")
	mod.Says("!unnominate @BOB").Expects("Withdrawn")
	mod.Says("!nominations").Expects(`^1\. Film of alice – alice; 2\. (é\x{FFFD})+é?… – dave$`)
	mod.Says("!clearnominations").Expects(`^Withdrawn: 2\.$`)
	mod.Says("!nominations").Expects("Nothing is nominated")
	for i := range 10 {
		name := fmt.Sprint("user", i)
		room.As(name, plugin.Registered).Says(fmt.Sprintf("!nominate yt:%s %s", name, strings.Repeat("x", 60))).
			Expects("nominates")
	}
	dave.Says("!nominate yt:d").ExpectsWrong("10 films are nominated already")
	if lines := mod.Says("!nominations").Expects("user9").Lines; len(lines) != 3 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

// Several people nominate a film at the same moment, while there is room for one.
func TestNoMoreAreNominatedAtTheSameMomentThanMayBe(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, polls.New(), plugintest.Setting("maxNominations", "2"))
	room.As("alice", plugin.Registered).Says("!nominate " + link("alice")).Expects("1 of 2")
	checks := room.HoldBack("act.playlist.add")
	var waiting []<-chan *plugintest.Answer
	for _, name := range []string{"bob", "carol", "dave"} {
		waiting = append(waiting, answers(func() *plugintest.Answer {
			return room.As(name, plugin.Registered).Says("!nominate " + link(name))
		}))
	}
	checks.Await(len(waiting))
	checks.Release()
	nominated := 0
	for _, answer := range waiting {
		if one := <-answer; one.Wrong == "" {
			one.Expects("2 of 2")
			nominated++
		} else if one.Wrong != "2 films are nominated already" {
			t.Errorf("answered %+v", one)
		}
	}
	if nominated != 1 {
		t.Errorf("%d people have nominated a film, want 1", nominated)
	}
}
