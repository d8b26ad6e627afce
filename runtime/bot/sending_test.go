package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
)

// asPlain has the bot log in as somebody whom the channel's limits are for.
func (r *rig) asPlain() {
	r.config.Account = &config.Account{Username: "plain", PasswordFile: secret(r.t, "p")}
}

// failure is what was told of line 1.
func (r *rig) failure() map[string]any {
	r.t.Helper()
	var payload map[string]any
	r.eventually("a failure", func() bool {
		for _, each := range r.service.on(bus.OutboundFailed) {
			if each.Payload["message_id"] == 1. {
				payload = each.Payload
				return true
			}
		}
		return false
	})
	return payload
}

// TestLongLinesAreSplit has the server's own limit of a line's length, which it enforces by cutting.
func TestLongLinesAreSplit(t *testing.T) {
	r := newRig(t)
	text := strings.TrimSpace(strings.Repeat("popcorn 🍿 ", 60))
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: text})
	r.startJoined()
	r.eventually("all is said", r.service.isEmpty)
	said := r.linesOf("Rosey")
	if diff := cmp.Diff(text, strings.Join(said, " ")); diff != "" || len(said) != 3 {
		t.Errorf("%d lines (-want +got):\n%s", len(said), diff)
	}
}

// TestFloodLimit has a channel that takes few lines at once, and more of them waiting.
func TestFloodLimit(t *testing.T) {
	r := newRigWith(t, simulator.Options{Channels: []simulator.ChannelOptions{{
		Name: "movienight", ChatAntiflood: simulator.Flood{Burst: 2, Sustained: 20, Cooldown: time.Second},
	}}})
	r.asPlain()
	var want []string
	for i := range 6 {
		want = append(want, strings.Repeat("x", i+1))
		r.service.toSay(bus.OutboundMessage{ID: int64(i), Timestamp: 10, Message: want[i]})
	}
	r.start()
	r.eventually("all is said", r.service.isEmpty)
	if diff := cmp.Diff(want, r.linesOf("plain")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if failures := r.service.on(bus.OutboundFailed); len(failures) > 0 {
		t.Errorf("failures %v", failures)
	}
	for _, entry := range r.channel.Log() {
		if entry.Kind == simulator.KindRefuse && strings.Contains(entry.Text, "cooldown") {
			t.Errorf("the server had to refuse: %s", entry.Text)
		}
	}
}

// TestCooldownIsWaitedOut has a server that refuses at a pace that the bot cannot know.
func TestCooldownIsWaitedOut(t *testing.T) {
	r := newRigWith(t, simulator.Options{Limits: simulator.Limits{
		Chat: simulator.Flood{Burst: 1, Sustained: 10, Cooldown: time.Minute},
	}})
	r.service.toSay(
		bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "one"}, bus.OutboundMessage{ID: 2, Timestamp: 10, Message: "two"})
	r.startJoined()
	r.eventually("all is said", r.service.isEmpty)
	if diff := cmp.Diff([]string{"one", "two"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

func TestMutedIsPermanent(t *testing.T) {
	r := newRig(t)
	r.asPlain()
	r.timings.Settle = 20 * time.Millisecond
	must(t, r.channel.Mute("plain"))
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello?"})
	r.start()
	if failure := r.failure(); failure["permanent"] != true || !strings.HasPrefix(failure["error"].(string), "muted") {
		t.Errorf("failure %v", failure)
	}
	r.eventually("the line is gone", r.service.isEmpty)
	if lines := r.linesOf("plain"); len(lines) > 0 {
		t.Errorf("said %v", lines)
	}
}

func TestTooLowARankIsPermanent(t *testing.T) {
	r := newRigWith(t, simulator.Options{Channels: []simulator.ChannelOptions{{
		Name: "movienight", Permissions: map[string]float64{"chat": 2}}}})
	r.asPlain()
	r.timings.Settle = 20 * time.Millisecond
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello?"})
	r.start()
	failure := r.failure()
	if failure["permanent"] != true || !strings.HasPrefix(failure["error"].(string), "forbidden") {
		t.Errorf("failure %v", failure)
	}
}

// TestSpamFilterIsNotPermanent has a guest whom the server has not known for long.
func TestSpamFilterIsNotPermanent(t *testing.T) {
	r := newRigWith(t, simulator.Options{Channels: []simulator.ChannelOptions{{
		Name: "movienight", NewUserChatDelay: time.Hour}}})
	r.config.Account = &config.Account{Username: "visitor"}
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello?", RetryCount: 2})
	r.start()
	failure := r.failure()
	if failure["permanent"] != false || failure["error"] != "filtered: spam filter: NEW_USER_CHAT" ||
		failure["retry_count"] != 2. {
		t.Errorf("failure %v", failure)
	}
}

// TestALateEchoCounts has a server so slow that the line comes back after the bot gave up on it.
func TestALateEchoCounts(t *testing.T) {
	r := newRig(t)
	r.timings.Echo = 20 * time.Millisecond
	r.startJoined()
	r.sim.Slow(simulator.Target{User: "Rosey"}, 100*time.Millisecond)
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "better late"})
	if failure := r.failure(); failure["error"] != "unanswered" {
		t.Errorf("failure %v", failure)
	}
	r.eventually("it is told after all", func() bool { return len(r.service.on(bus.OutboundSent)) == 1 })
	if diff := cmp.Diff([]string{"better late"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestALineSaidJustBeforeTheConnectionBreaks sees that it is found among what the server repeats.
func TestALineSaidJustBeforeTheConnectionBreaks(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	must(t, r.channel.Join("alice"))
	r.sim.Slow(simulator.Target{User: "Rosey"}, 200*time.Millisecond)
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "last words"})
	r.eventually("the line is said", func() bool { return len(r.linesOf("Rosey")) == 1 })
	must(t, r.channel.Drop("Rosey"))
	r.sim.Slow(simulator.Target{}, 0)
	r.eventually("it is told", func() bool { return len(r.service.on(bus.OutboundSent)) == 1 })
	if diff := cmp.Diff([]string{"last words"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestSplitLineKeepsWhatTheServerTakes compares the limit with what a server that cuts lets through.
func TestSplitLineKeepsWhatTheServerTakes(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	entry := r.say("alice", strings.Repeat("x", cytube.MaxLine+10))
	if len(entry.Text) != cytube.MaxLine {
		t.Errorf("the server takes %d characters, SplitLine thinks %d", len(entry.Text), cytube.MaxLine)
	}
}
