package database_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func onCyTube(name string) store.Channel { return store.Channel{Server: "https://cytu.be", Name: name} }

// listing has a service serve more channels than its own.
func listing(names ...string) func(*database.ServiceOptions) {
	return func(o *database.ServiceOptions) {
		o.Listed = func() (channels []store.Channel, err error) {
			for _, name := range names {
				channels = append(channels, onCyTube(name))
			}
			return channels, nil
		}
	}
}

// bodies are a valid message for each subject, without the braces around it.
var bodies = map[bus.Suffix]string{
	bus.UserJoined: `"username":"eve"`, bus.UserLeft: `"username":"eve"`,
	bus.MessageLog:     `"username":"eve","message":"hi"`,
	bus.StatsUserCount: `"chat_count":1,"connected_count":1`, bus.StatsHighWater: `"chat_count":99`,
	bus.StatusUpdate:    `"status_data":{"bot_rank":5}`,
	bus.ActionPMCommand: `"username":"eve","command":"say"`,
	bus.OutboundSent:    `"message_id":1`, bus.OutboundFailed: `"message_id":1,"retry_count":0,"permanent":true`,
	bus.OutboundGet: `"claimant":"eve"`, bus.OutboundPut: `"message":"hi"`,
	bus.StatsRecentChat: ``, bus.QueryChannelStats: ``, bus.QueryUserStats: `"username":"eve"`,
	bus.KVSet: `"plugin_name":"p","key":"k","value":1`, bus.KVGet: `"plugin_name":"p","key":"k"`,
	bus.KVDelete: `"plugin_name":"p","key":"k"`, bus.KVList: `"plugin_name":"p"`,
}

// body returns the message for a subject and a channel.
func body(suffix bus.Suffix, channel store.Channel) string {
	separator := ","
	if bodies[suffix] == "" {
		separator = ""
	}
	return fmt.Sprintf(`{"server":%q,"channel":%q%s%s}`, channel.Server, channel.Name, separator, bodies[suffix])
}

// Nothing that a client names may reach the rows of a channel that the service does not serve, and nobody can fill the
// dead letters or the log with attempts.
func TestMessagesForOtherChannelsAreRefused(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(listing("music")))
	foreign := onCyTube("other")
	other := store.Channel{Server: "https://other.example", Name: "movies"}
	for _, suffix := range bus.Events {
		r.publish(suffix, body(suffix, foreign))
		r.publish(suffix, body(suffix, other), "1/"+string(suffix))
		r.waitUntilStored()
		if refused := r.count(s, suffix, "refused"); refused != 2 {
			t.Errorf("%s: %v messages are counted as refused, want 2", suffix, refused)
		}
	}
	const why = `channel https://cytu.be/other: not served by this database service, which serves ` +
		`https://cytu.be/movies, https://cytu.be/music`
	for suffix := range bodies {
		switch suffix {
		case bus.UserJoined, bus.UserLeft, bus.MessageLog, bus.StatsUserCount, bus.StatsHighWater, bus.StatusUpdate,
			bus.ActionPMCommand: // nobody replies
		case bus.OutboundGet, bus.StatsRecentChat:
			same(t, string(suffix), "[]", r.request(suffix, body(suffix, foreign)))
		default:
			reply := r.request(suffix, body(suffix, foreign))
			if !strings.Contains(reply, why) || strings.Contains(reply, `"success":true`) {
				t.Errorf("%s replies %s, want an error with %q", suffix, reply, why)
			}
		}
	}
	same(t, "rows of the own channel", "", r.describeRows())
	if users, err := r.openReadOnly().CountUsers(t.Context(), foreign); err != nil || users != 0 {
		t.Errorf("%d users of another channel are stored, %v", users, err)
	}
}

// Names are compared as the database compares them, so that no spelling of a served channel is refused and none of
// another one accepted.
// A message for another channel must not become a dead letter because it exceeds a limit as well: whoever retries dead
// letters would store it in that channel.
func TestLargeMessagesForOtherChannelsBecomeNoDeadLetters(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{MessageBytes: 1024})))
	for _, suffix := range bus.Events {
		r.publish(suffix, body(suffix, onCyTube("other")), strings.Repeat("x", 300)+"/"+string(suffix))
		long := strings.TrimSuffix(body(suffix, onCyTube("other")), "}") + `,"more":"` + strings.Repeat("x", 2000) + `"}`
		r.publish(suffix, long)
		r.waitUntilStored()
		if refused := r.count(s, suffix, "refused"); refused != 2 {
			t.Errorf("%s: %v messages are counted as refused, want 2", suffix, refused)
		}
	}
	if letters := r.deadLetters(); len(letters) != 0 {
		t.Errorf("%d dead letters for another channel, the first %s %.100s", len(letters), letters[0].Subject,
			letters[0].Payload)
	}
}

func TestServedChannelsAreComparedInEverySpelling(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(listing("Music")))
	for _, channel := range []store.Channel{
		{Server: "HTTPS://CyTu.be/", Name: "MOVIES"}, {Server: "", Name: "movies"}, onCyTube("MUSIC"),
	} {
		r.publish(bus.MessageLog, body(bus.MessageLog, channel))
	}
	for _, channel := range []store.Channel{
		{Server: "https://cytu.be", Name: "movies\x00"}, {Server: "http://cytu.be", Name: "movies"},
		{Server: "https://cytu.be/movies", Name: "movies"}, onCyTube(" movies"),
	} {
		r.publish(bus.MessageLog, strings.ReplaceAll(body(bus.MessageLog, channel), `\x00`, `\u0000`))
	}
	r.waitUntilStored()
	same(t, "stored", 3.0, r.count(s, bus.MessageLog, "stored"))
	same(t, "refused", 4.0, r.count(s, bus.MessageLog, "refused"))
	same(t, "channels", []string{"https://cytu.be/movies", "https://cytu.be/music"}, s.Channels())
}

// The IDs of outbound lines are one sequence for all channels of a database.
func TestReportCannotRemoveALineOfAnotherChannel(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("music")))
	line := r.put(`{"message":"hi","channel":"music"}`)
	for _, channel := range []string{"", `,"channel":"movies"`} {
		sent := fmt.Sprintf(`{"message_id":%d%s}`, line.ID, channel)
		failed := fmt.Sprintf(`{"message_id":%d,"retry_count":0,"permanent":true%s}`, line.ID, channel)
		r.publish(bus.OutboundSent, sent)
		r.publish(bus.OutboundFailed, failed)
		r.exchange(exchange{bus.OutboundSent, sent, `{"success":true}`},
			exchange{bus.OutboundFailed, failed, `{"success":true}`})
	}
	same(t, "lines of music", []string{"hi"}, outboundTexts(r.get(`{"channel":"music"}`)))
	r.publish(bus.OutboundSent, fmt.Sprintf(`{"message_id":%d,"channel":"Music"}`, line.ID))
	same(t, "lines of music after a report of its own", []string(nil), outboundTexts(r.get(`{"channel":"music"}`)))
}

// A service that does not know which channels it serves would refuse what waits for it in the stream.
func TestServiceWaitsForAListThatItCanRead(t *testing.T) {
	r := newRig(t)
	var readable atomic.Bool
	s := r.start(func(o *database.ServiceOptions) {
		o.Listed = func() ([]store.Channel, error) {
			if readable.Load() {
				return []store.Channel{onCyTube("music")}, nil
			}
			return nil, errors.New("channels.yaml: no such file")
		}
	})
	natstest.Eventually(t, "the reason", func() bool {
		check := s.StoreCheck()
		return check.Reason == status.ReasonChannelListInvalid && strings.Contains(check.Message, "channels.yaml")
	})
	if _, err := r.client.Request("rosey.db.kv.list", []byte(`{"plugin_name":"p"}`), time.Second); err == nil {
		t.Error("a service answers before it knows its channels")
	}
	readable.Store(true)
	r.ready(s)
	same(t, "channels", []string{"https://cytu.be/movies", "https://cytu.be/music"}, s.Channels())
}

// A sharer that is added or removed needs no restart. A list that cannot be read must not end what worked before.
func TestListOfChannelsIsReadWhileTheServiceRuns(t *testing.T) {
	r := newRig(t)
	var list atomic.Pointer[[]store.Channel] // nil: cannot be read
	list.Store(&[]store.Channel{})
	s := r.ready(r.start(func(o *database.ServiceOptions) {
		database.WithChannelsInterval(&o.EngineOptions, time.Millisecond)
		o.Listed = func() ([]store.Channel, error) {
			if channels := list.Load(); channels != nil {
				return *channels, nil
			}
			return nil, errors.New("half written")
		}
	}))
	serves := func(names ...string) {
		t.Helper()
		want := []string{"https://cytu.be/movies"}
		for _, name := range names {
			want = append(want, "https://cytu.be/"+name)
		}
		natstest.Eventually(t, fmt.Sprint("the service to serve ", names), func() bool {
			return strings.Join(s.Channels(), " ") == strings.Join(want, " ")
		})
	}
	serves()
	list.Store(&[]store.Channel{onCyTube("music")})
	serves("music")
	same(t, "put", true, r.put(`{"message":"hi","channel":"music"}`).Success)
	list.Store(nil)
	natstest.Eventually(t, "the list to be read again", func() bool {
		return r.put(`{"message":"hi","channel":"music"}`).Success
	})
	serves("music")
	list.Store(&[]store.Channel{})
	serves()
	same(t, "put after the end", false, r.put(`{"message":"hi","channel":"music"}`).Success)
}
