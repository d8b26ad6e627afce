package bot

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// message is an expected event, without server and channel.
type message struct {
	Suffix  bus.Suffix
	Payload map[string]any
}

// checkWatch checks and removes watching_since. It must be the time of the first joins: the database ends sessions that
// began before.
func (r *rig) checkWatch(payload map[string]any) {
	r.t.Helper()
	fields, isStatus := payload["status_data"].(map[string]any)
	if !isStatus {
		return
	}
	since, _ := fields["watching_since"].(float64)
	if first := r.service.on(bus.UserJoined)[0].At; int64(since*1000+0.5) != first.UnixMilli() {
		r.t.Errorf("a status watches since %f, who was there came at %d", since, first.UnixMilli())
	}
	delete(fields, "watching_since")
}

func user(suffix bus.Suffix, name string) message {
	return message{suffix, map[string]any{"username": name}}
}

func line(name, text string) message {
	return message{bus.MessageLog, map[string]any{"username": name, "message": text}}
}

func highWater(chat int, connected any) message {
	return message{bus.StatsHighWater, map[string]any{"chat_count": float64(chat), "connected_count": connected}}
}

func statusUpdate(rank, users, connected, inChannel float64, started int64, title string) message {
	return message{bus.StatusUpdate, map[string]any{"status_data": map[string]any{
		"bot_name": "Rosey", "bot_rank": rank, "bot_afk": 0., "channel_name": "movienight",
		"current_chat_users": users, "current_connected_users": connected, "playlist_items": 1.,
		"current_media_title": title, "current_media_duration": 0., "bot_start_time": float64(started),
		"bot_connected": inChannel,
	}}}
}

// messages returns all events, and checks and removes the fields that every event has.
func (r *rig) messages() []message {
	r.t.Helper()
	var all []message
	for _, got := range r.service.all() {
		if got.Payload["server"] != r.config.Channel.Server || got.Payload["channel"] != "movienight" {
			r.t.Errorf("%s from %v/%v", got.Suffix, got.Payload["server"], got.Payload["channel"])
		}
		if age := time.Since(got.At); age < 0 || age > time.Minute {
			r.t.Errorf("%s is of %s", got.Suffix, got.At)
		}
		delete(got.Payload, "server")
		delete(got.Payload, "channel")
		r.checkWatch(got.Payload)
		if got.Payload["found"] != nil { // a time
			got.Payload["found"] = true
		}
		all = append(all, message{got.Suffix, got.Payload})
	}
	return all
}

func TestEventsOfASession(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	before := r.say("alice", "anybody <there>?")
	r.startJoined()
	if check := r.bot.Check(); check.Message != "in channel movienight as Rosey" {
		t.Errorf("check %+v", check)
	}
	must(t, r.channel.Join("carol"))
	said := r.say("carol", "/me waves")
	must(t, r.channel.Leave("carol"))
	// The server's count of carol's leave comes behind the leave itself.
	r.eventually("carol has left and is not counted any more", func() bool {
		return len(r.service.on(bus.UserLeft)) == 1 && len(r.service.on(bus.StatsHighWater)) == 6
	})
	must(t, r.stop())
	r.eventually("the last message", func() bool { return len(r.service.on(bus.StatusUpdate)) == 3 })

	started := r.bot.started.Unix()
	want := []message{
		line("alice", "anybody &lt;there&gt;?"),
		{bus.MediaPlayed, map[string]any{
			"type": "hl", "id": "https://example.com/live/feature.m3u8", "title": "Livestream", "seconds": 0.,
			"queued_by": "owner", "found": true,
		}},
		user(bus.UserJoined, "alice"), highWater(1, nil),
		highWater(1, 2.),
		statusUpdate(1, 1, 2, 1, started, "Livestream"),
		user(bus.UserJoined, "Rosey"), highWater(2, 2.),
		statusUpdate(3, 2, 2, 1, started, "Livestream"), // the rank in the channel comes last
		highWater(2, 3.),
		user(bus.UserJoined, "carol"), highWater(3, 3.),
		line("carol", "waves"),
		user(bus.UserLeft, "carol"), highWater(2, 2.),
		user(bus.UserLeft, "Rosey"), user(bus.UserLeft, "alice"),
		statusUpdate(3, 0, 0, 0, started, ""),
	}
	if diff := cmp.Diff(want, r.messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	lines := r.service.on(bus.MessageLog)
	for i, entry := range []struct {
		user, kind, text string
		ms               int64
	}{{"alice", "", "anybody &lt;there&gt;?", before.Time}, {"carol", "action", "waves", said.Time}} {
		at := time.UnixMilli(entry.ms)
		id := bus.ChatLineID(r.config.Channel.Server, "movienight", entry.user, at, entry.kind, entry.text, 0)
		if lines[i].ID != id || !lines[i].At.Equal(at) {
			t.Errorf("line %d has ID %s and time %s, want %s and %s", i, lines[i].ID, lines[i].At, id, at)
		}
	}
	if !slices.IsSorted(presenceIDs(r)) {
		t.Errorf("IDs are not in the order of events: %v", presenceIDs(r))
	}
	r.eventually("the bot has left", func() bool { return !r.isThere() })
	if check := r.bot.Check(); check.OK || check.Reason != status.ReasonStopping {
		t.Errorf("check %+v", check)
	}
}

func presenceIDs(r *rig) []string {
	var ids []string
	for _, each := range r.service.all() {
		if each.Suffix == bus.UserJoined || each.Suffix == bus.UserLeft {
			ids = append(ids, each.ID)
		}
	}
	return ids
}

func TestAnonymousWatcher(t *testing.T) {
	r := newRig(t)
	r.config.Account = nil
	r.timings.UserCount = 20 * time.Millisecond
	r.service.toSay(bus.OutboundMessage{ID: 1, Message: "an anonymous watcher cannot chat"})
	r.startJoined()
	if check := r.bot.Check(); check.Message != "in channel movienight as an anonymous watcher" {
		t.Errorf("check %+v", check)
	}
	// Samples are taken though nobody with a name is there.
	r.eventually("samples", func() bool { return len(r.service.on(bus.StatsUserCount)) > 1 })
	sample := r.service.on(bus.StatsUserCount)[1].Payload
	if sample["chat_count"] != 0. || sample["connected_count"] != 1. {
		t.Errorf("sample %v", sample)
	}
	if r.service.polls() > 0 {
		t.Error("asks for lines that it cannot say")
	}
}

func TestStatusIsRepeated(t *testing.T) {
	r := newRig(t)
	r.timings.Status = 20 * time.Millisecond
	r.startJoined()
	r.eventually("the channel's rank in the status", func() bool {
		return slices.ContainsFunc(r.service.on(bus.StatusUpdate), func(update received) bool {
			data, _ := update.Payload["status_data"].(map[string]any)
			return data["bot_rank"] == 3. && data["current_chat_users"] == 1.
		})
	})
}

// TestTheChannelIsLost cuts the connection: sessions end, lines of the outage are published after it, and lines that
// the server repeats have their old IDs.
func TestTheChannelIsLost(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.say("alice", "one")
	r.eventually("the line", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	r.cable.Cut()
	check := r.awaitReason(status.ReasonServerUnreachable)
	r.eventually("sessions have ended", func() bool { return len(r.service.on(bus.UserLeft)) == 2 })
	r.eventually("the simulator has closed the connection", func() bool { return !r.isThere() })
	r.say("alice", "two")
	r.cable.Restore()
	r.awaitJoined()
	if joined := r.bot.Check(); !joined.Since.After(check.Since) {
		t.Errorf("joined since %s, lost since %s", joined.Since, check.Since)
	}
	r.eventually("everybody is published as joined again", func() bool { return len(r.service.on(bus.UserJoined)) == 4 })
	r.say("alice", "three")
	// all() shows each ID once: "one" came twice.
	r.eventually("all lines", func() bool { return len(r.service.on(bus.MessageLog)) >= 3 })
	must(t, r.stop())
	var texts []any
	for _, each := range r.service.on(bus.MessageLog) {
		texts = append(texts, each.Payload["message"])
	}
	if diff := cmp.Diff([]any{"one", "two", "three"}, texts); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if count := r.metric("rosey_bot_reconnects_total", "ServerUnreachable"); count < 1 {
		t.Errorf("%v reconnects counted", count)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.say("alice", "hello")
	r.eventually("the line", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	must(t, r.channel.Inject("Rosey", `42["brandNew",{}]`))
	must(t, r.channel.Inject("Rosey", `42["usercount","many"]`))
	r.eventually("the malformed frame", func() bool {
		return r.metric("rosey_cytube_malformed_frames_total", "") == 1
	})
	for name, want := range map[string]float64{
		"rosey_bot_joined": 1, "rosey_bot_channel_users": 2, "rosey_bot_connected_users": 2,
	} {
		if got := r.metric(name, ""); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	chat, other := r.metric("rosey_cytube_events_total", "chatMsg"), r.metric("rosey_cytube_events_total", "other")
	if chat != 1 || other != 1 {
		t.Errorf("%v chatMsg and %v other events counted", chat, other)
	}
	if frames := r.metric("rosey_cytube_frames_total", "event"); frames < 20 {
		t.Errorf("%v frames of events counted", frames)
	}
	must(t, r.stop())
	if got := r.metric("rosey_bot_joined", ""); got != 0 {
		t.Errorf("rosey_bot_joined is %v after the end", got)
	}
}

// metric returns the value of a metric, with the given value of its first label unless that is empty.
func (r *rig) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	must(r.t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if label == "" || metric.GetLabel()[0].GetValue() == label {
				return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}
