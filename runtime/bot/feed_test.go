package bot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// watch subscribes to the feed.
func (r *rig) watch() *nats.Subscription {
	r.t.Helper()
	client := r.nats.Client()
	subscription, err := client.SubscribeSync(prefix + ".events.>")
	must(r.t, err)
	must(r.t, client.Flush())
	return subscription
}

// nextEvent returns the next event of a name. It skips others.
func nextEvent(t *testing.T, subscription *nats.Subscription, name string) map[string]any {
	t.Helper()
	for {
		message, err := subscription.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("waiting for %s: %v", name, err)
		}
		if message.Subject != prefix+".events.cytube.movienight."+name {
			continue
		}
		var event map[string]any
		must(t, json.Unmarshal(message.Data, &event))
		if event["timestamp"].(float64) < 1e9 || event["channel"] != "movienight" || event["event"] != name {
			t.Errorf("event %s", message.Data)
		}
		for _, key := range []string{"timestamp", "server", "channel", "event", "bot_start_ms", "number"} {
			delete(event, key)
		}
		return event
	}
}

func TestFeed(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("mod"))
	before := r.say("mod", "anybody <there>?")
	watching := r.watch()
	r.startJoined()

	replayed := nextEvent(t, watching, "message")
	if replayed["user"] != "mod" || replayed["content"] != "anybody &lt;there&gt;?" ||
		replayed["text"] != "anybody <there>?" || replayed["replayed"] != true ||
		replayed["platform_data"].(map[string]any)["time"] != float64(before.Time) {
		t.Errorf("replayed line %v", replayed)
	}
	list := nextEvent(t, watching, "user_list")
	mod := map[string]any{
		"username": "mod", "rank": 2., "is_afk": false, "is_moderator": true,
		"meta": map[string]any{"afk": false, "muted": false},
	}
	if diff := cmp.Diff([]any{mod}, list["users"]); diff != "" || list["count"] != 1. {
		t.Errorf("user list (-want +got):\n%s", diff)
	}
	must(t, r.channel.Join("alice"))
	for joined := range 2 {
		event := nextEvent(t, watching, "user_join")
		want := map[int]string{0: "Rosey", 1: "alice"}[joined]
		if data := event["user_data"].(map[string]any); event["user"] != want || data["username"] != want {
			t.Errorf("join %v", event)
		}
		if meta, _ := event["platform_data"].(map[string]any)["meta"].(map[string]any); meta["aliases"] != nil {
			t.Errorf("aliases are published: %v", event)
		}
	}
	r.say("alice", "hello")
	event := nextEvent(t, watching, "message")
	if event["content"] != "hello" || event["replayed"] != nil || event["own"] != nil || event["ignored"] != nil ||
		event["may_call"] != nil || event["user_data"].(map[string]any)["username"] != "alice" {
		t.Errorf("line %v", event)
	}
	must(t, r.channel.Inject("Rosey", `42["chatMsg",{"username":"Rosey","msg":"hello","meta":{},"time":1795421885821}]`))
	if event := nextEvent(t, watching, "message"); event["own"] != true {
		t.Errorf("line of the bot %v", event)
	}
	_, err := r.channel.PM("alice", "Rosey", "my secret")
	must(t, err)
	want := map[string]any{"user": "alice", "recipient": "Rosey"}
	if diff := cmp.Diff(want, nextEvent(t, watching, "pm")); diff != "" {
		t.Errorf("private message (-want +got):\n%s", diff)
	}
	must(t, r.channel.Inject("Rosey", `42["brandNew",{"ip":"1.2","a":{"password":"x","b":1}}]`))
	want = map[string]any{"platform_data": map[string]any{"a": map[string]any{"b": 1.}}}
	if diff := cmp.Diff(want, nextEvent(t, watching, "brandNew")); diff != "" {
		t.Errorf("unknown event (-want +got):\n%s", diff)
	}
	must(t, r.channel.Leave("alice"))
	if left := nextEvent(t, watching, "user_leave"); left["user"] != "alice" || left["user_data"] == nil {
		t.Errorf("leave %v", left)
	}
}

// TestEventsAreNotKept checks that events of the time without NATS are dropped and counted, not published later.
func TestEventsAreNotKept(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.nats.Stop()
	r.eventually("the bot notices the outage", func() bool { return !r.bus.Connected() })
	r.say("alice", "unheard")
	r.eventually("the event is dropped", func() bool {
		return r.metric("rosey_bot_feed_events_total", feedDisconnected) > 0
	})
	r.nats.Restart()
	watching := r.watch()
	r.eventually("the stored line", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	r.say("alice", "heard")
	if event := nextEvent(t, watching, "message"); event["content"] != "heard" {
		t.Errorf("event %v", event)
	}
	if r.latencies() == 0 {
		t.Error("no latency was measured")
	}
}

func (r *rig) latencies() uint64 {
	families, err := r.metrics.Gather()
	must(r.t, err)
	for _, family := range families {
		if family.GetName() == "rosey_bot_event_publish_seconds" {
			return family.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return 0
}

func TestFeedDoesNotBlock(t *testing.T) {
	r := newRig(t)
	connection, _ := r.make()
	t.Cleanup(connection.Close)
	for range feedBuffer + 10 { // nobody publishes them
		r.bot.feed.offer(feedEvent{Event: "message"}, time.Now())
	}
	if dropped := r.metric("rosey_bot_feed_events_total", feedBufferFull); dropped != 10 {
		t.Errorf("%v events dropped", dropped)
	}
}

func TestSubjectTokens(t *testing.T) {
	for name, want := range map[string]string{
		"chatMsg": "chatMsg", "a.b*c> d": "a_b_c__d", "日本": "__", strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		if got := bus.SubjectToken(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	f := newFeed(nil, bus.Subjects{}, "MovieNight", nil)
	if got := f.suffix("chatMsg"); got != "events.cytube.movienight.chatMsg" {
		t.Errorf("suffix %s", got)
	}
}

func FuzzWithoutPrivate(f *testing.F) {
	f.Add([]byte(`[{"name":"a","meta":{"ip":"x","aliases":["b"],"\u0069p":"y"}},1.50]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip("the decoder lets nothing else through")
		}
		var value any
		if got := withoutPrivate(raw); json.Unmarshal(got, &value) == nil {
			checkNothingPrivate(t, value)
		}
	})
}

func checkNothingPrivate(t *testing.T, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for _, key := range privateKeys {
			if _, shown := value[key]; shown {
				t.Errorf("%s is published", key)
			}
		}
		for _, inner := range value {
			checkNothingPrivate(t, inner)
		}
	case []any:
		for _, inner := range value {
			checkNothingPrivate(t, inner)
		}
	}
}
