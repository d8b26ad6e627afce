package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

func TestCommandsInTheChat(t *testing.T) {
	r := newRig(t)
	r.config.Commands.CooldownSeconds = new(0)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	for _, test := range []struct{ line, want string }{
		{"!help", "Commands: !help, !seen, !stats, !top, !uptime"},
		{"!stats", "alice: 3 lines, connected for 2 h 1 min, first seen 2025-11-21"},
		{"!STATS nobody", "nobody: never seen here"},
		{"!stats /kick bob", "stats: expected one user's name"},
		{"!top", "Most lines: 1. alice (3)"},
		{"!seen", "seen: expected one user's name"},
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

// TestWhatIsNoCommand says much that must have no answer, and then a command, whose answer must be the first.
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
	r.eventually("an answer", func() bool { return len(r.linesOf("Rosey")) == 2 })
	r.say("alice", "!help") // too soon
	r.say("bob", "!uptime")
	r.eventually("an answer to bob", func() bool { return len(r.linesOf("Rosey")) == 3 })
	want := []string{"!top", "Commands: !help, !seen, !stats, !top, !uptime", "Running for 0 s"}
	if diff := cmp.Diff(want, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if r.commandCount(fromChat, "help", commandTooSoon) != 1 {
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

func TestCooldownIsPerUser(t *testing.T) {
	c := &commands{cooldown: 5 * time.Second, lastChat: map[string]time.Time{}}
	now := time.Now()
	for i, step := range []struct {
		user  string
		after time.Duration
		want  bool
	}{
		{"alice", 0, true}, {"Alice", time.Second, false}, {"bob", time.Second, true},
		{"alice", 5 * time.Second, true}, {"bob", 6 * time.Second, true},
	} {
		if got := c.mayAgain(step.user, now.Add(step.after)); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
