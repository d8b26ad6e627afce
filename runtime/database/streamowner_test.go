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
	"rosey.dev/rosey/runtime/status"
)

func TestASecondDatabaseDoesNotTakeTheEvents(t *testing.T) {
	r := newStreamRig(t)
	r.startDurable()
	other := newRigOn(t, r.server)
	s := other.start(r.durable)
	natstest.Eventually(t, "the conflict", func() bool { return s.EventsCheck().Reason == status.ReasonSubjectConflict })
	check := s.EventsCheck()
	for _, path := range []*rig{r, other} {
		id, err := path.look().Identity(t.Context())
		if err != nil || check.OK || !strings.Contains(check.Message, id) {
			t.Errorf("%+v, want both ids, %s too (%v)", check, id, err)
		}
	}
	r.say("a")
	r.drained()
	same(t, "lines", []string{"a"}, r.texts())
	same(t, "lines of the other", 0, len(other.lines()))
	if s.NATSCheck().Reason != status.ReasonConnected {
		t.Errorf("NATS is blamed: %+v", s.NATSCheck())
	}
	// Requests are answered by the one whose events they are.
	for range 20 {
		if got := r.request(bus.StatsRecentChat, `{}`); !strings.Contains(got, `"a"`) {
			t.Fatalf("recent chat: %s", got)
		}
	}
}

// Of two databases that come first at once, one wins.
func TestOneOfTwoFirstDatabasesWins(t *testing.T) {
	r := newStreamRig(t)
	rigs := []*rig{r, newRigOn(t, r.server), newRigOn(t, r.server)}
	var services []*running
	for _, one := range rigs {
		services = append(services, one.start(r.durable))
	}
	natstest.Eventually(t, "a winner and losers", func() bool {
		reasons := map[status.Reason]int{}
		for _, s := range services {
			if s.NATSCheck().OK {
				reasons[s.EventsCheck().Reason]++
			}
		}
		return reasons[status.ReasonStreamBound] == 1 && reasons[status.ReasonSubjectConflict] == 2
	})
}

// The stream's limits are reached while no service is there.
func TestWhatTheStreamLostIsCountedAndShown(t *testing.T) {
	r := newStreamRig(t)
	small := func(o *database.ServiceOptions) {
		o.Binding = bind(t, o.Conn, func(j *config.JetStream) { j.MaxBytes = 1000 })
	}
	r.stop(r.startDurable(small))
	texts := numbers(50)
	for _, text := range texts {
		r.say(text)
	}
	first := r.published(50)
	if first < 2 {
		t.Fatal("the stream lost nothing")
	}
	s := r.startDurable(small)
	r.drained()
	same(t, "lines", texts[first-1:], r.texts())
	natstest.Eventually(t, "the loss to be counted", func() bool {
		return r.metric(s, "rosey_database_stream_lost_events_total") == float64(first-1)
	})
	shown := fmt.Sprintf("%d events were lost", first-1)
	if check := s.EventsCheck(); !check.OK || !strings.Contains(check.Message, shown) {
		t.Errorf("%+v", check)
	}
}

// A consumer and a stream that somebody removed are made again.
func TestARemovedStreamIsMadeAgain(t *testing.T) {
	r := newStreamRig(t)
	s := r.startDurable()
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "rosey_events"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the stream to be back", func() bool {
		_, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
		return err == nil && s.EventsCheck().OK
	})
	r.say("after")
	r.drained()
	same(t, "lines", []string{"after"}, r.texts())
}

// Without JetStream a service takes events as ever, and a server that has it from its next start on makes them durable.
func TestAServiceTakesUpAStreamAtTheNextConnection(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(r.durable))
	if check := s.EventsCheck(); !check.OK || check.Reason != status.ReasonCoreOnly {
		t.Errorf("%+v", check)
	}
	r.say("core")
	r.settle()
	r.server.Restart(natstest.JetStream(t))
	natstest.Eventually(t, "the stream", func() bool {
		return s.EventsCheck().Reason == status.ReasonStreamBound && r.client.IsConnected()
	})
	natstest.Eventually(t, "events to come from it", func() bool {
		_, err := r.client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), time.Second)
		return err == nil
	})
	r.say("stream")
	r.drained()
	same(t, "lines", []string{"core", "stream"}, r.texts())
}

// The bot, the service and the server go away and come back. Every line must be stored once.
func TestEveryLineIsStoredOnceThroughTheStream(t *testing.T) {
	r := newStreamRig(t)
	pub := r.durableBot()
	s := r.startDurable()
	start := time.UnixMilli(1763700000000)
	texts := numbers(3000)
	for i, text := range texts {
		r.publishLine(pub, text, start.Add(time.Duration(i)*time.Millisecond))
		switch i {
		case 500, 2500:
			r.server.Restart()
		case 1000:
			r.stop(s)
		case 2000:
			s = r.startDurable()
		}
	}
	flushing, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := pub.Flush(flushing); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the connection", func() bool { return s.NATSCheck().OK && r.client.IsConnected() })
	r.drained()
	same(t, "lines", texts, r.texts())
}

func TestABacklogIsDrainedInBigBatches(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startDurable())
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
	s := r.startDurable()
	r.drained()
	if stored := r.count(s, bus.MessageLog, "stored"); stored != lines {
		t.Errorf("%v stored, want %d", stored, lines)
	}
	if batches := r.observations(s, "rosey_database_batch_events"); batches > lines/50 {
		t.Errorf("%d transactions for %d lines", batches, lines)
	}
}

// A permission that the stream's events need is named, also one that the server refuses without an answer.
func TestAPermissionForTheStreamIsNamed(t *testing.T) {
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
			s := r.start(r.durable)
			js, err := jetstream.New(r.client)
			if err != nil {
				t.Fatal(err)
			}
			natstest.Within(t, 30*time.Second, "the permission to be named", func() bool {
				// Something to acknowledge, as soon as there is a stream.
				_, _ = js.Publish(t.Context(), "rosey.db.user.joined", []byte("{}"))
				check := s.EventsCheck()
				return check.Reason == status.ReasonNATSPermissionMissing && !check.OK &&
					strings.Contains(check.Message, strings.TrimSuffix(denied, ">"))
			})
		})
	}
}
