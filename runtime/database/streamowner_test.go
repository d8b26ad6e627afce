package database_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

func TestSecondDatabaseConsumesNothing(t *testing.T) {
	r := newStreamRig(t)
	r.startWithStream()
	other := newRigOn(t, r.server)
	s := other.start(r.withStream)
	natstest.Eventually(t, "the conflict", func() bool { return s.EventsCheck().Reason == status.ReasonSubjectConflict })
	check := s.EventsCheck()
	for _, path := range []*rig{r, other} {
		id, err := path.openReadOnly().Identity(t.Context())
		if err != nil || check.OK || !strings.Contains(check.Message, id) {
			t.Errorf("%+v, want both IDs, also %s (%v)", check, id, err)
		}
	}
	r.publishChat("a")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"a"}, r.texts())
	same(t, "lines of the other database", 0, len(other.lines()))
	if s.NATSCheck().Reason != status.ReasonConnected {
		t.Errorf("NATS check: %+v", s.NATSCheck())
	}
	// The service of the database that owns the events replies to requests.
	for range 20 {
		if got := r.request(bus.StatsRecentChat, `{}`); !strings.Contains(got, `"a"`) {
			t.Fatalf("recent chat: %s", got)
		}
	}
}

// If several databases come first at once, one becomes the owner.
func TestConcurrentFirstDatabases(t *testing.T) {
	r := newStreamRig(t)
	rigs := []*rig{r, newRigOn(t, r.server), newRigOn(t, r.server)}
	var services []*running
	for _, one := range rigs {
		services = append(services, one.start(r.withStream))
	}
	natstest.Eventually(t, "one owner, and conflicts for the others", func() bool {
		reasons := map[status.Reason]int{}
		for _, s := range services {
			if s.NATSCheck().OK {
				reasons[s.EventsCheck().Reason]++
			}
		}
		return reasons[status.ReasonStreamBound] == 1 && reasons[status.ReasonSubjectConflict] == 2
	})
}

// The stream reaches its limits while no service runs.
func TestLostEventsAreCounted(t *testing.T) {
	r := newStreamRig(t)
	small := func(o *database.ServiceOptions) {
		o.Binding = bind(t, o.Conn, func(j *config.JetStream) { j.MaxBytes = 1000 })
	}
	r.stop(r.startWithStream(small))
	texts := numberedTexts(50)
	for _, text := range texts {
		r.publishChat(text)
	}
	first := r.waitUntilPublished(50)
	if first < 2 {
		t.Fatal("the stream lost nothing")
	}
	s := r.startWithStream(small)
	r.waitUntilStreamStored()
	same(t, "lines", texts[first-1:], r.texts())
	natstest.Eventually(t, "the lost events to be counted", func() bool {
		return r.metric(s, "rosey_database_stream_lost_events_total") == float64(first-1)
	})
	shown := fmt.Sprintf("%d events were lost", first-1)
	if check := s.EventsCheck(); !check.OK || !strings.Contains(check.Message, shown) {
		t.Errorf("%+v", check)
	}
}

// Somebody removes the consumer and the stream.
func TestRemovedStreamIsCreatedAgain(t *testing.T) {
	r := newStreamRig(t)
	s := r.startWithStream()
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "rosey_events"); err != nil {
		t.Fatal(err)
	}
	// Usually the server ends the pull at once. If the pull arrives after the stream was removed, only the missing
	// heartbeats tell, after 10 seconds.
	natstest.Within(t, 30*time.Second, "the stream to be back", func() bool {
		_, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
		return err == nil && s.EventsCheck().OK
	})
	r.publishChat("after")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"after"}, r.texts())
}

// Somebody pauses the consumer, gives it a filter, or limits the stream while they are used.
func TestAStreamThatNoLongerDeliversDoesNotLookWell(t *testing.T) {
	r := newStreamRig(t)
	s := r.startWithStream(database.BacklogInterval(10 * time.Millisecond))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(r.client)
	must(err)
	shown := func(reason status.Reason, words string) {
		t.Helper()
		natstest.Eventually(t, "the check to say "+words, func() bool {
			check := s.EventsCheck()
			return check.Reason == reason && strings.Contains(check.Message, words) && check.OK == (words == "")
		})
	}
	_, err = js.PauseConsumer(t.Context(), "rosey_events", "rosey_db", time.Now().Add(time.Hour))
	must(err)
	shown(status.ReasonStreamUnavailable, "the consumer rosey_db of the stream rosey_events is paused")
	r.publishChat("while it is paused")
	_, err = js.ResumeConsumer(t.Context(), "rosey_events", "rosey_db")
	must(err)
	shown(status.ReasonStreamBound, "")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"while it is paused"}, r.texts())

	stream, err := js.Stream(t.Context(), "rosey_events")
	must(err)
	limited := stream.CachedInfo().Config
	limited.MaxMsgs = 1
	_, err = js.UpdateStream(t.Context(), limited)
	must(err)
	shown(status.ReasonStreamMismatch, "max_msgs 1, expected -1")
	limited.MaxMsgs = -1
	_, err = js.UpdateStream(t.Context(), limited)
	must(err)
	shown(status.ReasonStreamBound, "")

	consumer, err := stream.Consumer(t.Context(), "rosey_db")
	must(err)
	filtered := consumer.CachedInfo().Config
	filtered.FilterSubject = "rosey.db.user.joined"
	_, err = stream.UpdateConsumer(t.Context(), filtered)
	must(err)
	shown(status.ReasonStreamMismatch, "no filter")
	filtered.FilterSubject = ""
	_, err = stream.UpdateConsumer(t.Context(), filtered)
	must(err)
	shown(status.ReasonStreamBound, "")
}

// Without JetStream a service receives events by core NATS. A server with JetStream takes its place.
func TestStreamIsBoundAfterReconnect(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(r.withStream))
	if check := s.EventsCheck(); !check.OK || check.Reason != status.ReasonCoreOnly {
		t.Errorf("%+v", check)
	}
	r.publishChat("core")
	r.waitUntilStored()
	r.server.Restart(natstest.JetStream(t))
	natstest.Eventually(t, "the stream", func() bool {
		return s.EventsCheck().Reason == status.ReasonStreamBound && r.client.IsConnected()
	})
	natstest.Eventually(t, "events to come from it", func() bool {
		_, err := r.client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), time.Second)
		return err == nil
	})
	r.publishChat("stream")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"core", "stream"}, r.texts())
}

// Bot, service and server stop and start.
func TestStreamStoresEachLineOnce(t *testing.T) {
	t.Parallel()
	r := newStreamRig(t)
	pub := r.streamBot()
	s := r.startWithStream()
	start := time.UnixMilli(1763700000000)
	texts := numberedTexts(3000)
	for i, text := range texts {
		r.publishLine(pub, text, start.Add(time.Duration(i)*time.Millisecond))
		switch i {
		case 500, 2500:
			r.server.Restart()
		case 1000:
			r.stop(s)
		case 2000:
			s = r.startWithStream()
		}
	}
	flushing, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := pub.Flush(flushing); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the connection", func() bool { return s.NATSCheck().OK && r.client.IsConnected() })
	r.waitUntilStreamStored()
	same(t, "lines", texts, r.texts())
}

func TestBacklogIsStoredInLargeBatches(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startWithStream())
	const lines = 5000
	for i := range lines {
		message := &nats.Msg{
			Subject: "rosey.db.message.log", Header: nats.Header{bus.MsgIDHeader: {fmt.Sprintf("%012x/db.message.log", i)}},
			Data: fmt.Appendf(nil, `{"username":"alice","message":"%d","timestamp":%d}`, i, 1763700000+i),
		}
		if err := r.client.PublishMsg(message); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	s := r.startWithStream()
	r.waitUntilStreamStored()
	if stored := r.count(s, bus.MessageLog, "stored"); stored != lines {
		t.Errorf("%v stored, want %d", stored, lines)
	}
	if batches := r.observations(s, "rosey_database_batch_events"); batches > lines/50 {
		t.Errorf("%d transactions for %d lines", batches, lines)
	}
}

// A missing permission is reported, also where the server does not reply.
func TestMissingStreamPermissionIsReported(t *testing.T) {
	for _, denied := range []string{"$JS.API.CONSUMER.CREATE.rosey_events.rosey_db", "$JS.ACK.rosey_events.rosey_db.>"} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, natstest.JetStream(t), func(o *server.Options) {
				o.Users = []*server.User{{Username: "all", Password: "pw"}, {
					Username: "few", Password: "pw", Permissions: &server.Permissions{
						Publish: &server.SubjectPermission{Deny: []string{denied}},
					},
				}}
				o.NoAuthUser = "all"
			})
			r.url = strings.Replace(r.url, "nats://", "nats://few:pw@", 1)
			s := r.start(r.withStream)
			js, err := jetstream.New(r.client)
			if err != nil {
				t.Fatal(err)
			}
			natstest.Within(t, 30*time.Second, "the permission to be reported", func() bool {
				// An event to acknowledge, once there is a stream.
				_, _ = js.Publish(t.Context(), "rosey.db.user.joined", []byte("{}"))
				check := s.EventsCheck()
				return check.Reason == status.ReasonNATSPermissionMissing && !check.OK &&
					strings.Contains(check.Message, strings.TrimSuffix(denied, ">"))
			})
		})
	}
}

// A server that refuses other limits must not end what works: lines are published, consumed and stored.
func TestLinesAreStoredAlthoughTheLimitsAreRefused(t *testing.T) {
	r := newRig(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 100 << 20 })
	r.stop(r.startWithStream())
	larger := func(j *config.JetStream) { j.MaxBytes = 1 << 30 }
	s := r.start(func(o *database.ServiceOptions) { o.Binding = bind(t, o.Conn, larger) })
	bot := r.botWith(func(o *publisher.Options) { o.Binding = bind(t, o.Conn, larger) })
	bot.Publish(t.Context(), bus.MessageLog, "1", bus.MessagePayload{Username: "u", Message: "said"})
	natstest.Eventually(t, "the line to be stored", func() bool { return len(r.lines()) == 1 })
	check := s.EventsCheck()
	if !check.OK || check.Reason != status.ReasonStreamRefused || !s.NATSCheck().OK ||
		!strings.Contains(check.Message, "nats.jetStream.maxBytes stays 67108864 instead of 1073741824: insufficient") {
		t.Errorf("%+v, NATS %+v", check, s.NATSCheck())
	}
}

// A user that may create and update nothing consumes what is there.
func TestChangesThatAreNotPermittedKeepNoLineOut(t *testing.T) {
	r := newRig(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin"}, {Username: "few", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.UPDATE.>", "$JS.API.CONSUMER.CREATE.>"}},
		}}}
		o.NoAuthUser = "few"
	})
	admin, err := jetstream.New(r.server.ClientAs("admin", ""))
	if err != nil {
		t.Fatal(err)
	}
	stream := createStream(t, admin, config.JetStream{Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20})
	if _, err := database.CreateConsumer(t.Context(), stream, subjects(t)); err != nil {
		t.Fatal(err)
	}
	s := r.start(r.withStream)
	natstest.Eventually(t, "the refusal", func() bool { return s.EventsCheck().Reason == status.ReasonStreamRefused })
	r.publishChat("a")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"a"}, r.texts())
	check := s.EventsCheck()
	for _, words := range []string{
		`updating the consumer rosey_db: the account may not publish to "$JS.API.CONSUMER.CREATE.rosey_events.rosey_db"`,
		"the guard against a second database is off",
	} {
		if !check.OK || !strings.Contains(check.Message, words) {
			t.Errorf("%+v, want %q", check, words)
		}
	}
}

// An account that allows no more consumers is named as the cause, and the service consumes once it allows one.
func TestALimitOfConsumersIsNamed(t *testing.T) {
	r := newRig(t, natstest.JetStream(t), func(o *server.Options) {
		err := o.ProcessConfigString(
			"accounts {a {users: [{user: a, password: a}], jetstream {max_consumers: 1}}}, no_auth_user: a")
		if err != nil {
			t.Fatal(err)
		}
	})
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	stream := createStream(t, js, config.JetStream{Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20})
	other := jetstream.ConsumerConfig{Durable: "other", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := stream.CreateConsumer(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	s := r.start(r.withStream)
	want := "creating the consumer rosey_db: maximum consumers limit reached"
	natstest.Eventually(t, "the limit to be named", func() bool {
		check := s.EventsCheck()
		return !check.OK && check.Reason == status.ReasonStreamRefused && strings.Contains(check.Message, want)
	})
	if err := stream.DeleteConsumer(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the service to consume", func() bool { return s.EventsCheck().OK && s.NATSCheck().OK })
}
