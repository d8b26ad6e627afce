package bot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// pms returns the private messages of the bot to a user.
func (r *rig) pms(to string) []string {
	var texts []string
	for _, entry := range r.channel.Log() {
		if entry.Kind == simulator.KindPM && entry.User == "Rosey" && entry.To == to {
			text, _ := cytube.TypedText(entry.Text)
			texts = append(texts, text)
		}
	}
	return texts
}

// tell sends a command by private message and returns the first line of the reply.
func (r *rig) tell(user, command string) string {
	r.t.Helper()
	before := len(r.pms(user))
	_, err := r.channel.PM(user, "Rosey", command)
	must(r.t, err)
	r.eventually("a reply to "+command, func() bool { return len(r.pms(user)) > before })
	return r.pms(user)[before]
}

// expectReply sends a command by private message and waits for a line that begins as wanted: a reply can have several
// lines, and the last lines of the reply before it can come in between.
func (r *rig) expectReply(user, command, want string) {
	r.t.Helper()
	before := len(r.pms(user))
	_, err := r.channel.PM(user, "Rosey", command)
	must(r.t, err)
	r.eventually(command+": "+want, func() bool {
		return slices.ContainsFunc(r.pms(user)[before:], func(line string) bool { return strings.HasPrefix(line, want) })
	})
}

func newModeratorRig(t *testing.T) *rig {
	t.Helper()
	r := newRigWith(t, simulator.Options{Channels: []simulator.ChannelOptions{{
		Name: "movienight",
		Playlist: []simulator.Media{
			{ID: "a", Title: "Alien", Seconds: 7020, Type: "yt"}, {ID: "b", Title: "Brazil", Seconds: 100, Type: "yt"},
			{ID: "c", Title: "Clue", Seconds: 90, Type: "yt"},
		},
	}}})
	must(t, r.channel.Join("mod"))
	must(t, r.channel.Join("alice"))
	r.startJoined()
	return r
}

func TestCommandsByPM(t *testing.T) {
	r := newModeratorRig(t)
	for _, test := range []struct{ command, want string }{
		{"help", "Commands: add URL [temp], afk [on|off], clear, current, help, info"},
		{"info", "Rosey, rank 3, in channel movienight on http://127.0.0.1"},
		{"status", "Channel: in channel movienight as Rosey"},
		{"stats", "Most users at once: 3; most connected: 9; seen altogether: 4"},
		{"users", "3 users: Rosey (3), alice (0), mod (2)"},
		{"user alice", "alice: rank 0, away: false, muted: false"},
		{"user nobody", "nobody is not in the channel"},
		{"user", "user: usage: user NAME"},
		{"playlist 2", "3 items in the playlist"},
		{"current", "Alien (0:00 of 1:57:00, paused)"},
		{"afk on", "The bot is away"},
		{"afk", "The bot is back"},
		{"afk maybe", "afk: usage: afk [on|off]"},
		{"say <b>hello</b> there", "Said"},
		{"say /me waves", "Said"},
		{"pm alice psst", "Said"},
		{"pm nobody psst", "pm: there is no user of that name in the channel"},
		{"pm rosey psst", "pm: the bot sends no private messages to itself"},
		{"add https://youtu.be/dQw4w9WgXcQ temp", "Added https://youtu.be/dQw4w9WgXcQ"},
		{"add https://youtu.be/dQw4w9WgXcQ", "add: This item is already on the playlist"},
		{"add something", "add: expected the link of a video"},
		{"remove 4", "Removed Film dQw4w9WgXcQ"},
		{"remove 4", "remove: there is no item 4, the playlist has 3"},
		{"remove x", "remove: usage: remove NUMBER"},
		{"move 1 3", "Moved Alien to 3"},
		{"move 3 3", "Alien is there already"},
		{"move 1", "move: usage: move FROM TO"},
		{"jump 2", "Playing Clue"},
		{"next", "Skipped"},
		{"pause", "Paused; send pause again to continue"},
		{"pause", "Playback continues"},
		{"voteskip", "Voted"},
		{"clear", "The chat is cleared"},
		{"kick nobody", "kick: there is no user of that name in the channel"},
		{"kick rosey", "kick: the bot does not kick itself"},
		{"kick alice be nice", "Kicked alice"},
		{"hello dear", "unknown: there is no such command; send help for a list"},
	} {
		r.expectReply("mod", test.command, test.want)
	}
	if diff := cmp.Diff([]string{"&lt;b&gt;hello&lt;/b&gt; there", "waves"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"psst"}, r.pms("alice")); diff != "" {
		t.Errorf("written to alice (-want +got):\n%s", diff)
	}
	if count := r.commandCount("pm", "say", "success"); count != 2 {
		t.Errorf("%v commands counted", count)
	}
}

// TestCommandsSeeWhatWasTyped checks names and texts that the filters of a channel format.
func TestCommandsSeeWhatWasTyped(t *testing.T) {
	r := newModeratorRig(t)
	names := []string{"the_real_bob", "__x__", "_", "___", "a-b_c_d_e", "x_", "_y", "the_other_bob"}
	for _, name := range names {
		must(t, r.channel.Join(name))
	}
	for _, name := range names {
		r.expectReply("mod", "user "+name, name+": rank 0, away: false, muted: false")
		r.expectReply("mod", "user "+strings.ToUpper(name), name+": rank 0, away: false, muted: false")
		r.expectReply("mod", "pm "+name+" psst, _you_", "Said")
		if got := r.pms(name); !slices.Equal(got, []string{"psst, _you_"}) {
			t.Errorf("written to %s: %q", name, got)
		}
	}
	r.expectReply("mod", "say *very* ~~well~~ `done` _all_ [sp]of you[/sp]", "Said")
	if diff := cmp.Diff([]string{"<strong>very</strong> <s>well</s> <code>done</code> <em>all</em> " +
		`<span class="spoiler">of you</span>`}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	r.expectReply("mod", "add https://youtu.be/a_b_c_d_e_f", "Added https://youtu.be/a_b_c_d_e_f")
	r.say("alice", "!seen the_real_bob")
	r.eventually("a reply", func() bool { return len(r.linesOf("Rosey")) == 2 })
	if got := r.linesOf("Rosey")[1]; got != "the<em>real</em>bob is here" {
		t.Errorf("reply %q", got)
	}
	r.expectReply("mod", "kick the_real_bob be_a_bit nicer", "Kicked the_real_bob")
	want := "the_real_bob be_a_bit nicer"
	r.eventually("the audit of "+want, func() bool {
		return slices.ContainsFunc(r.service.on(bus.ActionPMCommand), func(each received) bool {
			return each.Payload["args"] == want
		})
	})
}

func (r *rig) commandCount(source, name, outcome string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	must(r.t, err)
	want := fmt.Sprintf("%s %s %s", name, outcome, source) // labels are sorted by name
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var got []string
			for _, label := range metric.GetLabel() {
				got = append(got, label.GetValue())
			}
			if family.GetName() == "rosey_bot_commands_total" && strings.Join(got, " ") == want {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestPMCommandsAreAudited checks what is published about them: not the text of private messages.
func TestPMCommandsAreAudited(t *testing.T) {
	r := newModeratorRig(t)
	for _, command := range []string{"say hi", "pm alice a secret", "sweet nothings", "kick mod"} {
		r.tell("mod", command)
	}
	r.eventually("four audited commands", func() bool { return len(r.service.on(bus.ActionPMCommand)) == 4 })
	var got []string
	for _, each := range r.service.on(bus.ActionPMCommand) {
		got = append(got, fmt.Sprint(each.Payload["username"], "|", each.Payload["command"], "|", each.Payload["args"], "|",
			each.Payload["result"], "|", each.Payload["error"]))
	}
	want := []string{
		"mod|say|hi|success|<nil>",
		"mod|pm|alice (8 characters)|success|<nil>",
		"mod|unknown||error|there is no such command; send help for a list",
		"mod|kick|mod|error|mod has at least your rank",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if r.log.count("secret") > 0 || r.log.count("sweet") > 0 {
		t.Error("the log shows private words")
	}
}

// TestPMCommandsNeedPermission checks the channel's own permissions for the moderator and for the bot.
func TestPMCommandsNeedPermission(t *testing.T) {
	r := newModeratorRig(t)
	must(t, r.channel.Join("owner"))
	_, err := r.channel.Do("owner", "setPermissions", map[string]float64{
		"kick": 3, "playlistdelete": 3, "oplaylistdelete": 3, "addnontemp": 3, "playlistmove": 4, "oplaylistmove": 4,
		"playlistaddrawfile": 3})
	must(t, err)
	for command, want := range map[string]string{
		"kick alice":                        "kick: your rank in the channel does not allow it (kick)",
		"remove 1":                          "remove: your rank in the channel does not allow it (playlistdelete)",
		"say /kick alice":                   "say: the bot executes no chat commands except /me",
		"say /me /kick alice":               "say: the bot executes no chat commands except /me",
		"add https://example.com/films.mp4": "add: your rank in the channel does not allow it (playlistaddrawfile)",
	} {
		if got := r.tell("mod", command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if got := r.tell("owner", "move 1 2"); got != "move: the bot's rank in the channel does not allow it (playlistmove)" {
		t.Errorf("for lack of the bot's rank: %q", got)
	}
	r.tell("mod", "add https://youtu.be/dQw4w9WgXcQ")
	if got := r.tell("owner", "say done"); got != "Said" {
		t.Errorf("%q", got)
	}
	if r.commandCount("pm", "kick", "denied") != 1 {
		t.Error("a denied command is not counted as denied")
	}
}

// TestOnlyModeratorsAreAnswered checks that a user gets no reply: it would come before that to the moderator, whose
// command is sent later.
func TestOnlyModeratorsAreAnswered(t *testing.T) {
	r := newModeratorRig(t)
	_, err := r.channel.PM("alice", "Rosey", "help")
	must(t, err)
	r.tell("mod", "help")
	if got := r.pms("alice"); len(got) > 0 {
		t.Errorf("replies to alice: %q", got)
	}
}

func TestPMCommandsSwitchedOff(t *testing.T) {
	r := newRig(t)
	r.config.Commands.PM = new(false)
	must(t, r.channel.Join("mod"))
	r.startJoined()
	_, err := r.channel.PM("mod", "Rosey", "say hi")
	must(t, err)
	r.say("mod", "!uptime")
	r.eventually("a reply in the chat", func() bool { return len(r.linesOf("Rosey")) > 0 })
	if got := r.linesOf("Rosey"); !strings.HasPrefix(got[0], "Running for") || len(r.pms("mod")) > 0 {
		t.Errorf("said %q, wrote %q", got, r.pms("mod"))
	}
}

func TestCommandsInTheChat(t *testing.T) {
	r := newRig(t)
	r.config.Commands.CooldownSeconds = new(0)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	for _, test := range []struct{ line, want string }{
		{"!help", "Commands: !help, !seen USER, !stats [USER], !top, !uptime"},
		{"!stats", "alice: 3 lines, connected for 2 h 1 min, first seen 2025-11-21"},
		{"!STATS nobody", "nobody: never seen here"},
		{"!stats /kick bob", "stats: usage: !stats [USER]"},
		{"!top", "Most lines: 1. alice (3)"},
		{"!seen", "seen: usage: !seen USER"},
		{"!seen Alice", "alice is here"},
		{"!seen bob", "alice was last seen"}, // the service of this test knows one user
		{"!uptime", "Running for 0 s"},
	} {
		before := len(r.linesOf("Rosey"))
		r.say("alice", test.line)
		r.eventually("a reply to "+test.line, func() bool { return len(r.linesOf("Rosey")) > before })
		if got := cytube.PlainText(r.linesOf("Rosey")[before]); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", test.line, got, test.want)
		}
	}
	if actions := r.service.on(bus.ActionPMCommand); len(actions) > 0 {
		t.Errorf("commands in the chat are stored as private ones: %v", actions)
	}
}

// TestWhatIsNoCommand checks that the first reply is that to the command which follows lines that are none.
func TestWhatIsNoCommand(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	must(t, r.channel.Join("bob"))
	r.say("alice", "!uptime") // repeated to the bot when it joins
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 1, Message: "!top"})
	r.startJoined()
	r.eventually("the bot's own command", r.service.isEmpty)
	r.say("alice", "!roll 2d6")
	r.say("alice", "well, !help")
	r.say("alice", "/me !help")
	r.say("alice", "!help")
	r.eventually("a reply", func() bool { return len(r.linesOf("Rosey")) == 2 })
	r.say("alice", "!help") // too soon
	r.say("bob", "!uptime")
	r.eventually("a reply to bob", func() bool { return len(r.linesOf("Rosey")) == 3 })
	want := []string{"!top", "Commands: !help, !seen USER, !stats [USER], !top, !uptime", "Running for 0 s"}
	if diff := cmp.Diff(want, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if r.commandCount("chat", "help", "cooldown") != 1 {
		t.Error("the command that came too soon is not counted")
	}
}

func TestChatCommandsSwitchedOff(t *testing.T) {
	r := newRig(t)
	r.config.Commands.Chat = new(false)
	must(t, r.channel.Join("mod"))
	r.startJoined()
	r.say("mod", "!help")
	if got := r.tell("mod", "say hi"); got != "Said" {
		t.Errorf("%q", got)
	}
	if diff := cmp.Diff([]string{"hi"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}
