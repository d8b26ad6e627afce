package bot

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// Each test prevents a defect that the Python bot had.

// TestEventsAreNotHandledTwice: every handler ran twice, so that each line was stored and counted twice,
// playlist entries doubled, and a second join was an error.
func TestEventsAreNotHandledTwice(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("owner"))
	watching := r.watch()
	r.startJoined()
	r.say("owner", "once")
	_, err := r.channel.Queue("owner", simulator.Media{ID: "a", Type: "yt"}, simulator.QueueEnd)
	must(t, err)
	must(t, r.channel.Leave("owner"))
	r.eventually("the leave", func() bool { return len(r.service.on(bus.UserLeft)) == 1 })
	must(t, r.stop())
	// Of the events that the service receives, on leaves out retries, which have the ID of the first attempt. An event
	// that is handled twice gets two IDs, except for a line of chat.
	r.service.mu.Lock()
	raw := len(slices.DeleteFunc(slices.Clone(r.service.received), func(each received) bool {
		return each.Suffix != bus.MessageLog
	}))
	r.service.mu.Unlock()
	if raw != 1 || len(r.service.on(bus.UserJoined)) != 2 || len(r.service.on(bus.UserLeft)) != 2 {
		t.Errorf("%d lines, %d joins, %d leaves", raw, len(r.service.on(bus.UserJoined)), len(r.service.on(bus.UserLeft)))
	}
	count := map[string]int{}
	for {
		message, err := watching.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		count[message.Subject[strings.LastIndex(message.Subject, ".")+1:]]++
	}
	if count["message"] != 1 || count["queue"] != 1 || count["user_leave"] != 1 {
		t.Errorf("events %v", count)
	}
}

// TestAFailedReconnectDoesNotEndTheBot: an error while reconnecting ended the process.
func TestAFailedReconnectDoesNotEndTheBot(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	r.cable.Cut()
	r.eventually("several failed attempts", func() bool { return r.reconnects(status.ReasonServerUnreachable) > 3 })
	r.cable.Restore()
	r.awaitJoined()
}

// TestConnectedIsNotTheChatCount: the history had the number of names twice, and no samples while the
// list was empty.
func TestConnectedIsNotTheChatCount(t *testing.T) {
	r := newRig(t)
	r.timings.UserCount = 20 * time.Millisecond
	r.channel.Visit()
	r.channel.Visit()
	r.startJoined()
	r.eventually("a sample of all", func() bool {
		return slices.ContainsFunc(r.service.on(bus.StatsUserCount), func(sample received) bool {
			return sample.Payload["chat_count"] == 1. && sample.Payload["connected_count"] == 3.
		})
	})
	for _, sample := range r.service.on(bus.StatsUserCount) {
		if sample.Payload["connected_count"].(float64) < sample.Payload["chat_count"].(float64) {
			t.Errorf("fewer connected than named: %v", sample.Payload)
		}
	}
}

// TestPeopleWhoWereThereBeforeAreRecorded: they had no row and no session until they joined again.
func TestPeopleWhoWereThereBeforeAreRecorded(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.eventually("alice", func() bool {
		joined := r.service.on(bus.UserJoined)
		return len(joined) > 0 && joined[0].Payload["username"] == "alice"
	})
}

// TestALineIsClaimedAndItsReportStored: two bots said the same line, and a line whose report was lost was said again.
// The service of this rig checks the claimant of every request; here NATS is down when the line is reported.
func TestALineIsClaimedAndItsReportStored(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	must(t, r.channel.Join("alice"))
	r.sim.Slow(simulator.Target{User: "Rosey"}, 300*time.Millisecond)
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "once"})
	r.eventually("the line in the channel", func() bool { return len(r.linesOf("Rosey")) == 1 })
	r.nats.Stop()
	r.eventually("the bot knows that it was said", func() bool {
		return r.metric("rosey_bot_outbound_total", string(speech.Said)) == 1
	})
	r.nats.Restart()
	r.eventually("the report", func() bool { return len(r.service.on(bus.OutboundSent)) > 0 })
	r.eventually("nothing left", r.service.isEmpty)
	if diff := cmp.Diff([]string{"once"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestSessionsEndWithTheBot: sessions were open for ever after the bot had stopped.
func TestSessionsEndWithTheBot(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.eventually("the bot itself", func() bool { return len(r.service.on(bus.UserJoined)) == 2 })
	must(t, r.stop())
	var left []any
	for _, each := range r.service.on(bus.UserLeft) {
		left = append(left, each.Payload["username"])
	}
	if diff := cmp.Diff([]any{"Rosey", "alice"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestALineHasTheTimeAtWhichItWasSaid: its row had the time at which it was stored.
func TestALineHasTheTimeAtWhichItWasSaid(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.nats.Stop()
	r.eventually("the bot notices the outage", func() bool { return !r.bus.Connected() })
	entry := r.say("alice", "meanwhile")
	r.nats.Restart()
	r.eventually("the line", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	if at := r.service.on(bus.MessageLog)[0].At.UnixMilli(); at != entry.Time {
		t.Errorf("stored with %d, said at %d", at, entry.Time)
	}
}

// TestOrderHoldsAcrossSubjects: a leave could overtake the join before it.
func TestOrderHoldsAcrossSubjects(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	var want []bus.Suffix
	for i := range 20 {
		must(t, r.channel.Join("alice"))
		r.say("alice", strings.Repeat("hi ", i+1))
		must(t, r.channel.Leave("alice"))
		want = append(want, bus.UserJoined, bus.MessageLog, bus.UserLeft)
	}
	r.eventually("the last leave", func() bool { return len(r.service.on(bus.UserLeft)) == 20 })
	var got []bus.Suffix
	for _, each := range r.service.all() {
		if each.Payload["username"] == "alice" {
			got = append(got, each.Suffix)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestTheLogHasNoPrivateMessages: the log had the login with the password, and private messages. Every test of this rig
// checks its log for passwords.
func TestTheLogHasNoPrivateMessages(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("mod"))
	r.startJoined()
	_, err := r.channel.PM("mod", "Rosey", "pm mod swordfish")
	must(t, err)
	r.eventually("the answer", func() bool { return len(r.pms("mod")) > 0 })
	must(t, r.stop())
	if r.log.count("swordfish") > 0 {
		t.Error("the log has the text of a private message")
	}
}

// TestWhoIsAwayIsKnownFromTheUserList: users who were away before the bot joined counted as active.
func TestWhoIsAwayIsKnownFromTheUserList(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	must(t, r.channel.SetAFK("alice", true))
	d := r.drive()
	if alice, known := d.room.Users.Find("alice"); !known || !alice.AFK {
		t.Errorf("alice is %+v", alice)
	}
}

// TestWhatPlaysIsForgottenWhenNothingPlays: title and length were never cleared.
func TestWhatPlaysIsForgottenWhenNothingPlays(t *testing.T) {
	r := newRig(t)
	r.timings.Status = 20 * time.Millisecond
	must(t, r.channel.Join("owner"))
	r.startJoined()
	must(t, r.channel.Delete("owner", 0))
	r.eventually("no title", func() bool {
		updates := r.service.on(bus.StatusUpdate)
		if len(updates) == 0 {
			return false
		}
		last, _ := updates[len(updates)-1].Payload["status_data"].(map[string]any)
		return last["current_media_title"] == "" && last["bot_connected"] == 1.
	})
}

// TestLinesForModeratorsAreNotPublished: lines that only moderators receive, such as those of shadow-muted users, were
// stored and published.
func TestLinesForModeratorsAreNotPublished(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("owner"))
	must(t, r.channel.Join("alice"))
	r.startJoined()
	_, err := r.channel.Do("owner", "chatMsg", map[string]string{"msg": "/smute alice"})
	must(t, err)
	watching := r.watch()
	_, _ = r.channel.Say("alice", "!help in the shadow")
	r.say("owner", "after it")
	if event := nextEvent(t, watching, "message"); event["content"] != "after it" {
		t.Errorf("event %v", event)
	}
	r.eventually("the line", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	if stored := r.service.on(bus.MessageLog)[0].Payload; stored["username"] != "owner" {
		t.Errorf("stored %v", stored)
	}
}

// TestReadingGoesOnWithoutAService: a request to the database stopped the handling of events.
func TestReadingGoesOnWithoutAService(t *testing.T) {
	r := newRig(t)
	d := r.drive()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, r.channel.Join("alice"))
	began := time.Now()
	for i := range 2000 {
		d.handle(t.Context(), cytube.ReceivedEvent{At: time.Now(), Event: cytube.ChatMessage{
			User: "alice", HTML: "!top " + strings.Repeat("x", i%7), Time: time.UnixMilli(int64(i) + 1)}})
	}
	if took := time.Since(began); took > 5*time.Second || ctx.Err() != nil {
		t.Errorf("2000 lines took %s", took)
	}
}
