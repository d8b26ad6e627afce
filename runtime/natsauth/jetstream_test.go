package natsauth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/natsauth"
)

// streamAttacks are attempts to change what JetStream does for a side. A request and what it changes, if it succeeds.
var streamAttacks = []struct {
	name          string
	subject, body string
	automatic     []bus.Role // who may, because it creates streams and consumers
	effect        func(s *side) bool
}{
	{
		name: "a stream that reads events from the stream", subject: "$JS.API.STREAM.CREATE.copy",
		body: `{"name":"copy","sources":[{"name":"P_events"}],"storage":"memory"}`, effect: hasMessages("copy"),
	}, {
		name: "a mirror of the stream", subject: "$JS.API.STREAM.CREATE.copy",
		body: `{"name":"copy","mirror":{"name":"P_events"},"storage":"memory"}`, effect: hasMessages("copy"),
	}, {
		name: "a mirror of the leader key", subject: "$JS.API.STREAM.CREATE.copy",
		body: `{"name":"copy","mirror":{"name":"KV_P_locks"},"storage":"memory"}`, effect: hasMessages("copy"),
	}, {
		name: "a stream that answers requests before the service", subject: "$JS.API.STREAM.CREATE.capture",
		body: `{"name":"capture","subjects":["P.db.kv.>"],"storage":"memory"}`, effect: hasStream("capture"),
	}, {
		name: "a stream that publishes again", subject: "$JS.API.STREAM.CREATE.again",
		body:   `{"name":"again","subjects":["mine"],"republish":{"src":"mine","dest":"P.db.kv.set"},"storage":"memory"}`,
		effect: hasStream("again"),
	}, {
		name: "a stream that transforms subjects", subject: "$JS.API.STREAM.CREATE.changed",
		body: `{"name":"changed","subjects":["mine"],"subject_transform":{"src":"mine","dest":"P.db.message.log"},` +
			`"storage":"memory"}`,
		effect: hasStream("changed"),
	}, {
		name: "the stream publishes again", subject: "$JS.API.STREAM.UPDATE.P_events",
		body: `{"name":"P_events","subjects":["P.db.message.log"],"max_bytes":1048576,"storage":"file",` +
			`"republish":{"src":">","dest":"copied.>"}}`,
		automatic: []bus.Role{bot, db},
		effect:    func(s *side) bool { return s.info("P_events").Config.RePublish != nil },
	}, {
		name: "the stream forgets at once", subject: "$JS.API.STREAM.UPDATE.P_events",
		body: `{"name":"P_events","subjects":["P.db.message.log"],"max_bytes":1048576,"storage":"file",` +
			`"max_age":100000000}`,
		automatic: []bus.Role{bot, db},
		effect:    func(s *side) bool { return s.info("P_events").State.Msgs == 0 },
	}, {
		name: "a consumer that delivers events elsewhere", subject: "$JS.API.CONSUMER.CREATE.P_events.thief",
		body: `{"stream_name":"P_events","config":{"name":"thief","deliver_subject":"stolen",` +
			`"inactive_threshold":60000000000}}`,
		effect: hasConsumers("P_events", 2),
	}, {
		name: "a durable consumer", subject: "$JS.API.CONSUMER.DURABLE.CREATE.P_events.thief",
		body:   `{"stream_name":"P_events","config":{"durable_name":"thief","ack_policy":"explicit"}}`,
		effect: hasConsumers("P_events", 2),
	}, {
		name: "a consumer that delivers the leader key elsewhere", subject: "$JS.API.CONSUMER.CREATE.KV_P_locks.thief",
		body: `{"stream_name":"KV_P_locks","config":{"name":"thief","deliver_subject":"stolen",` +
			`"inactive_threshold":60000000000}}`,
		effect: hasConsumers("KV_P_locks", 1),
	}, {
		name: "the service's consumer is gone", subject: "$JS.API.CONSUMER.DELETE.P_events.P_db",
		effect: hasConsumers("P_events", 0),
	}, {
		name: "events are removed", subject: "$JS.API.STREAM.PURGE.P_events",
		effect: func(s *side) bool { return s.info("P_events").State.Msgs == 0 },
	}, {
		name: "an event is removed", subject: "$JS.API.STREAM.MSG.DELETE.P_events", body: `{"seq":1}`,
		effect: func(s *side) bool { return s.info("P_events").State.Msgs == 0 },
	}, {
		name: "the leader key is removed", subject: "$JS.API.STREAM.PURGE.KV_P_locks",
		effect: func(s *side) bool { return s.info("KV_P_locks").State.Msgs == 0 },
	}, {
		name: "the stream is gone", subject: "$JS.API.STREAM.DELETE.P_events",
		effect: func(s *side) bool { return !hasStream("P_events")(s) },
	}, {
		name: "the bucket is gone", subject: "$JS.API.STREAM.DELETE.KV_P_locks",
		effect: func(s *side) bool { return !hasStream("KV_P_locks")(s) },
	},
}

// info returns the state of a stream, and the zero value if there is none.
func (s *side) info(stream string) jetstream.StreamInfo {
	s.w.Helper()
	found, err := s.js.Stream(s.w.Context(), s.of(stream))
	if err != nil {
		return jetstream.StreamInfo{}
	}
	return *found.CachedInfo()
}

func hasStream(name string) func(*side) bool {
	return func(s *side) bool { return s.info(name).Config.Name != "" }
}

func hasMessages(stream string) func(*side) bool {
	return func(s *side) bool { return s.info(stream).State.Msgs > 0 }
}

func hasConsumers(stream string, count int) func(*side) bool {
	return func(s *side) bool { return hasStream(stream)(s) && s.info(stream).State.Consumers == count }
}

// request sends a request with the names of victim.
func (w *world) request(by *client, victim *side, subject, body string) {
	w.Helper()
	if err := by.PublishRequest(victim.of(subject), by.NewInbox(), []byte(victim.ofBody(body))); err != nil {
		w.Fatal(err)
	}
	by.flush(w.T)
}

// TestNobodyElseChangesStreams lets users change what JetStream does for a RoseyBot.
func TestNobodyElseChangesStreams(t *testing.T) {
	eachSetUp(t, func(w *world) {
		for _, attack := range streamAttacks {
			for role, by := range w.alpha.clients {
				if role == admin || !w.manual && slices.Contains(attack.automatic, role) {
					continue
				}
				before := len(by.denied())
				w.request(by, w.alpha, attack.subject, attack.body)
				by.eventuallyDenied(w.T, attack.name, before)
			}
			for _, by := range values(w.beta.clients) {
				w.request(by, w.alpha, attack.subject, attack.body)
			}
			_, _ = w.beta.root.Request(w.alpha.of(attack.subject), []byte(w.alpha.ofBody(attack.body)), 5*time.Second)
			w.beta.createObjects()
			// The same by somebody who may, in the other account: behind it the server has handled what came before.
			reply, err := w.beta.root.Request(w.beta.of(attack.subject), []byte(w.beta.ofBody(attack.body)), 5*time.Second)
			if err != nil || strings.Contains(string(reply.Data), `"error"`) {
				w.Fatalf("%s: %v %s, so the test shows nothing", attack.name, err, reply.Data)
			}
			natstest.Eventually(w.T, attack.name+": the effect, or the test shows nothing", func() bool {
				return attack.effect(w.beta)
			})
			if attack.effect(w.alpha) {
				w.Errorf("%s: somebody could", attack.name)
				w.alpha.createObjects()
			}
			w.beta.createObjects()
		}
	})
}

// reflections are requests that a role may send in a stream of an administrator. JetStream replies with its own rights:
// here to a request of JetStream's.
var reflections = []struct{ subject, body string }{
	{"P.db.message.log", "{}"},
	{"$KV.P_locks.leader", `{"name":"evil","subjects":["evil"]}`},
	{"$JS.API.STREAM.INFO.P_events", ""},
	{"$JS.API.STREAM.MSG.GET.KV_P_locks", `{"last_by_subj":"$KV.P_locks.leader"}`},
	{"$JS.API.STREAM.MSG.GET.KV_P_locks", `{"last_by_subj":"$KV.P_locks.absent"}`},
}

// removals are requests to JetStream that need no content.
var removals = []string{
	"$JS.API.STREAM.PURGE.P_events", "$JS.API.STREAM.PURGE.KV_P_locks", "$JS.API.CONSUMER.DELETE.P_events.P_db",
	"$JS.API.STREAM.DELETE.P_events", "$JS.API.STREAM.DELETE.KV_P_locks",
}

// removed reports whether one of the removals has had an effect.
func (s *side) removed() bool {
	events, bucket := s.info("P_events").State, s.info("KV_P_locks").State
	return events.Msgs == 0 || events.Consumers == 0 || bucket.Msgs == 0
}

// TestBotCannotHaveJetStreamActForIt: no reply to what the bot may request is a request that JetStream accepts.
func TestBotCannotHaveJetStreamActForIt(t *testing.T) {
	eachSetUp(t, func(w *world) {
		if !w.manual {
			return // it creates streams
		}
		s := w.alpha
		by := s.clients[bot]
		for _, try := range reflections {
			for _, target := range append(removals, "$JS.API.STREAM.CREATE.evil") {
				if err := by.PublishRequest(s.of(try.subject), s.of(target), []byte(s.ofBody(try.body))); err != nil {
					w.Fatal(err)
				}
			}
		}
		by.flush(w.T)
		if denied := by.denied(); len(denied) > 0 {
			w.Errorf("the requests do not reach JetStream, so the test shows nothing: %s", denied)
		}
		if s.handled(); s.removed() || hasStream("evil")(s) {
			w.Error("JetStream has acted for the bot")
		}
	})
}

// handled returns when the server has handled the replies to requests before: by a purge that it can see.
func (s *side) handled() {
	s.w.Helper()
	other, err := s.js.CreateStream(s.w.Context(), jetstream.StreamConfig{Name: "other", Subjects: []string{"other"}})
	if err == nil {
		_, err = s.js.Publish(s.w.Context(), "other", nil)
	}
	if err == nil {
		err = s.root.PublishRequest(s.of("$JS.API.CONSUMER.MSG.NEXT.P_events.P_db"), "$JS.API.STREAM.PURGE.other",
			[]byte(`{"batch":1000,"no_wait":true}`))
	}
	if err != nil {
		s.w.Fatal(err)
	}
	natstest.Eventually(s.w.T, "JetStream to act for who may", func() bool {
		info, err := other.Info(s.w.Context())
		return err == nil && info.State.Msgs == 0
	})
}

// TestServiceCannotHaveJetStreamRemoveStreams: the replies to who pulls and acknowledges have no content and go where
// the service says, with the rights of the server, so only the server can refuse what they ask for.
func TestServiceCannotHaveJetStreamRemoveStreams(t *testing.T) {
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		for _, allowed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, allowed=%t", target, allowed), func(t *testing.T) {
				t.Parallel()
				w := newWorldWith(t, target, true, natsauth.IssueOptions{Now: time.Now(), AllowRemoval: allowed})
				s := w.alpha
				by := s.clients[db]
				next := s.of("$JS.API.CONSUMER.MSG.NEXT.P_events.P_db")
				event, err := by.Request(next, []byte(`{"batch":1}`), 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				for _, removal := range removals {
					for _, request := range []string{event.Reply, next} {
						err := by.PublishRequest(request, s.of(removal), []byte(`{"batch":1000,"no_wait":true}`))
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				by.flush(t)
				if allowed {
					natstest.Eventually(t, "an effect, or the test shows nothing", s.removed)
					return
				}
				if s.handled(); s.removed() {
					t.Error("JetStream has removed something for the service")
				}
			})
		}
	}
}

// ofBody is of for the names in a request.
func (s *side) ofBody(body string) string {
	return bodyReplacer(s.prefix).Replace(body)
}

// TestAccountCannotTakeTheStorageOfOthers: a stream reserves its size, and an account has room for its own only.
func TestAccountCannotTakeTheStorageOfOthers(t *testing.T) {
	eachSetUp(t, func(w *world) {
		for size, fits := range map[int64]bool{8 << 20: true, 1 << 30: false} {
			_, err := w.alpha.js.CreateStream(w.Context(), jetstream.StreamConfig{
				Name: "other", Subjects: []string{"other"}, MaxBytes: size})
			if (err == nil) != fits {
				w.Errorf("%d bytes: %v", size, err)
			}
			_ = w.alpha.js.DeleteStream(w.Context(), "other") // it may not be there
		}
	})
}
