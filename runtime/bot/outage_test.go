package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// TestNATSIsDown checks that the bot stays in the channel while NATS is down, and delivers the events of that time
// afterwards, in order.
func TestNATSIsDown(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	var want []any
	for i := range 60 {
		switch i {
		case 20:
			r.nats.Stop()
		case 40:
			r.eventually("the bot notices the outage", func() bool { return !r.bus.Connected() })
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
	r.eventually("the events of joining", func() bool { return len(r.service.on(bus.StatsHighWater)) > 1 })
	must(t, r.pub.Flush(t.Context()))
	r.nats.Stop()
	r.eventually("the bot notices the outage", func() bool { return !r.bus.Connected() })
	err := r.stop()
	if err == nil || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("error %v, want the number of events that were not delivered: a leave and a status", err)
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
	r.eventually("all lines", r.service.isEmpty)
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

// linesOf returns what a user said, as the channel showed it.
func (r *rig) linesOf(name string) []string {
	var texts []string
	for _, entry := range r.channel.Log() {
		if entry.Kind == "chat" && entry.User == name {
			texts = append(texts, entry.Text)
		}
	}
	return texts
}
