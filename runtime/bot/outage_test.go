package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// TestNATSIsAway sees that the channel goes on while NATS is away, and that everything that happened
// meanwhile is sent afterwards, in order.
func TestNATSIsAway(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	var want []any
	for i := range 60 {
		switch i {
		case 20:
			r.nats.Stop()
		case 40:
			r.eventually("the bot notices", func() bool { return !r.bus.Connected() })
		}
		text := fmt.Sprintf("line %d", i)
		r.say("alice", text)
		want = append(want, text)
		if i == 19 {
			r.eventually("the first lines", func() bool { return len(r.service.on(bus.MessageLog)) == 20 })
		}
	}
	if check := r.bot.Check(); check.Reason != status.ReasonJoined {
		t.Errorf("check %+v", check)
	}
	r.nats.Restart()
	r.eventually("all lines", func() bool { return len(r.service.on(bus.MessageLog)) == len(want) })
	var got []any
	for _, each := range r.service.on(bus.MessageLog) {
		got = append(got, each.Payload["message"])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if len(r.service.on(bus.UserLeft)) > 0 {
		t.Error("the bot left the channel")
	}
}

func TestEndWithoutNATS(t *testing.T) {
	r := newRig(t)
	r.timings.Drain = 50 * time.Millisecond
	r.startJoined()
	r.eventually("what is sent on joining", func() bool { return len(r.service.on(bus.StatsHighWater)) > 1 })
	must(t, r.pub.Flush(t.Context()))
	r.nats.Stop()
	r.eventually("the bot notices", func() bool { return !r.bus.Connected() })
	err := r.stop()
	if err == nil || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("error %v, want it to count what was not sent: a leave and a status", err)
	}
	r.eventually("the bot has left", func() bool { return !r.isThere() })
}

func TestOutbound(t *testing.T) {
	r := newRig(t)
	r.service.toSay(
		bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "first"},
		bus.OutboundMessage{ID: 2, Timestamp: 10, Message: " "},
		bus.OutboundMessage{ID: 3, Timestamp: 11, Message: "<b>second</b>"},
	)
	r.startJoined()
	r.eventually("all is said", r.service.isEmpty)
	if diff := cmp.Diff([]string{"first", "&lt;b&gt;second&lt;/b&gt;"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	var marked []any
	for _, each := range r.service.on(bus.OutboundSent) {
		marked = append(marked, each.Payload["message_id"])
	}
	if diff := cmp.Diff([]any{1., 2., 3.}, marked); diff != "" {
		t.Errorf("marked (-want +got):\n%s", diff)
	}
}

// TestOutboundIsNotSaidTwice has a service that hands out a line again although it was told that it was said.
func TestOutboundIsNotSaidTwice(t *testing.T) {
	r := newRig(t)
	r.service.forgetful = true
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "once"})
	r.startJoined()
	r.eventually("it is told again", func() bool { return len(r.service.on(bus.OutboundSent)) > 2 })
	if diff := cmp.Diff([]string{"once"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	// The same id in a new database is another line.
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 20, Message: "again"})
	r.eventually("the other line", func() bool { return len(r.linesOf("Rosey")) == 2 })
}

// TestACommandWithoutRankIsNotTriedAgain has a line that the server drops: only moderators may use /say. It
// would be tried again and again.
func TestACommandWithoutRankIsNotTriedAgain(t *testing.T) {
	r := newRig(t)
	r.config.Account = &config.Account{Username: "plain", PasswordFile: secret(t, "p")}
	r.timings.Echo = 20 * time.Millisecond
	r.service.toSay(
		bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "/say HEAR ME"},
		bus.OutboundMessage{ID: 2, Timestamp: 11, Message: "hello"},
	)
	r.start()
	r.eventually("the line behind it", func() bool { return len(r.linesOf("plain")) > 0 })
	r.eventually("the failure is told", func() bool { return len(r.service.on(bus.OutboundFailed)) > 0 })
	failure := r.service.on(bus.OutboundFailed)[0].Payload
	if failure["message_id"] != 1. || failure["permanent"] != true || failure["message_timestamp"] != 10. ||
		failure["error"] != "unanswered" {
		t.Errorf("failure %v", failure)
	}
	for _, each := range r.service.on(bus.OutboundSent) {
		if each.Payload["message_id"] != 2. {
			t.Errorf("marked as sent: %v", each.Payload)
		}
	}
}

// TestOutboundCannotBeFetched has a service that replies nonsense for a while; the bot goes on asking.
func TestOutboundCannotBeFetched(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	for outage := 1; outage <= 2; outage++ {
		r.service.setBroken(true)
		polls := r.service.polls()
		r.eventually("some polls", func() bool { return r.service.polls() > polls+3 })
		r.service.toSay(bus.OutboundMessage{ID: int64(outage), Timestamp: 10, Message: "after the outage"})
		r.service.setBroken(false)
		r.eventually("the line", func() bool { return len(r.linesOf("Rosey")) == outage })
	}
}

// linesOf is what somebody said, as the channel saw it.
func (r *rig) linesOf(name string) []string {
	var texts []string
	for _, entry := range r.channel.Log() {
		if entry.Kind == "chat" && entry.User == name {
			texts = append(texts, entry.Text)
		}
	}
	return texts
}
