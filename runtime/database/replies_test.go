package database_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
)

// A client must not be able to have the service publish where the client itself may not, by asking for the reply there.
func TestNothingIsPublishedWhereAClientWantsItsReply(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, natstest.JetStream(t))
	s := r.ready(r.start(func(o *database.ServiceOptions) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }))
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	kept := jetstream.StreamConfig{Name: "kept", Subjects: []string{"kept"}}
	if _, err := js.CreateStream(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "kept", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	victims := []string{
		"rosey.db.message.log", "rosey.db.messages.outbound.put", "rosey.events.cytube.movies.chatMsg",
		"_INBOX", "x._INBOX.y",
		"$JS.API.STREAM.PURGE.kept", "$JS.API.STREAM.DELETE.kept", "$KV.rosey_locks.leader", "$SRV.PING", "other.db.kv.set",
	}
	requests := []string{"$SRV.PING", "$SRV.INFO.rosey_db", "$SRV.STATS.rosey_db"}
	for _, suffix := range append(endpointSubjects(t, r.client), bus.OutboundSent, bus.OutboundFailed, bus.MessageLog) {
		requests = append(requests, "rosey."+string(suffix))
	}
	var mu sync.Mutex
	published := map[string]int{}
	if _, err := r.client.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		published[m.Subject]++
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Flush(); err != nil { // the server has the subscription before the attacker begins
		t.Fatal(err)
	}
	attacker := r.server.Client()
	for _, victim := range victims {
		for _, request := range requests {
			if err := attacker.PublishRequest(request, victim, []byte(`{"message":"hi","limit":1}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := attacker.Flush(); err != nil {
		t.Fatal(err)
	}
	r.waitUntilStored()
	if _, err := r.client.Request("$SRV.STATS.rosey_db", nil, 5*time.Second); err != nil { // behind those of the attacker
		t.Fatal(err)
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	counted := make(chan struct{})
	if err := r.client.Barrier(func() { close(counted) }); err != nil {
		t.Fatal(err)
	}
	<-counted
	mu.Lock()
	defer mu.Unlock()
	sent := map[string]int{}
	for _, request := range requests {
		sent[request] = len(victims)
	}
	sent["$SRV.STATS.rosey_db"]++
	for _, victim := range victims {
		if published[victim] != sent[victim] {
			t.Errorf("%d messages on %s, want only the %d of the attacker", published[victim], victim, sent[victim])
		}
	}
	stream, err := js.Stream(t.Context(), "kept")
	if err != nil || stream.CachedInfo().State.Msgs != 1 {
		t.Errorf("the stream: %v, %+v", err, stream)
	}
	if refused := r.count(s, bus.KVSet, "no_inbox"); refused != float64(len(victims)) {
		t.Errorf("%v requests counted as refused, want %d", refused, len(victims))
	}
	r.stop(s)
	if lines := strings.Count(log.String(), "reply subjects are no inboxes"); lines != 1 {
		t.Errorf("logged %d times, want once:\n%s", lines, log.String())
	}
}

// endpointSubjects returns the subjects of requests, as the service lists them.
func endpointSubjects(t *testing.T, client *nats.Conn) (suffixes []bus.Suffix) {
	t.Helper()
	for _, subject := range serviceInfo(t, client) {
		suffixes = append(suffixes, bus.Suffix(strings.TrimPrefix(subject, "rosey.")))
	}
	if len(suffixes) == 0 {
		t.Fatal("no endpoints")
	}
	return suffixes
}

// Messages that wait for the store are bounded in bytes, whether they are events or requests.
func TestWaitingMessagesAreBoundedInBytes(t *testing.T) {
	for _, suffix := range []bus.Suffix{bus.MessageLog, bus.KVSet} {
		t.Run(string(suffix), func(t *testing.T) {
			r := newRig(t)
			blocked, with := r.faultyStore()
			s := r.ready(r.start(with, func(o *database.ServiceOptions) { o.Log = slog.New(slog.DiscardHandler) }))
			blocked.mu.Lock()
			r.publishChat("first")
			natstest.Eventually(t, "the first batch", func() bool { return blocked.applies.Load() == 1 })
			const count, size = 200, 1_000_000
			body := fmt.Sprintf(`{"username":"a","message":%q}`, strings.Repeat("x", size))
			for range count {
				r.publish(suffix, body)
			}
			if err := r.client.Flush(); err != nil {
				t.Fatal(err)
			}
			dropped := func() float64 { return r.metric(s, "rosey_database_dropped_messages_total") }
			natstest.Eventually(t, "all to wait or be dropped", func() bool { return r.waiting(s)+dropped() == count })
			if waiting := r.waiting(s); waiting*size > 48<<20 || waiting < 10 {
				t.Errorf("%v messages of %d bytes wait", waiting, size)
			}
			blocked.mu.Unlock()
		})
	}
}

// A flood of requests must not displace events.
func TestRequestsLeaveRoomForEvents(t *testing.T) {
	for name, size := range map[string]int{"many": 10, "large": 900_000} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			blocked, with := r.faultyStore()
			s := r.ready(r.start(with, func(o *database.ServiceOptions) { o.Log = slog.New(slog.DiscardHandler) }))
			blocked.mu.Lock()
			r.publishChat("first")
			natstest.Eventually(t, "the first batch", func() bool { return blocked.applies.Load() == 1 })
			dropped := func() float64 { return r.metric(s, "rosey_database_dropped_messages_total") }
			body := fmt.Sprintf(`{"key":%q}`, strings.Repeat("x", size))
			natstest.Eventually(t, "requests to be dropped", func() bool {
				for range 100 {
					r.publish(bus.KVGet, body)
				}
				return r.client.Flush() == nil && dropped() > 0
			})
			natstest.Eventually(t, "the flood to end", func() bool {
				before := r.waiting(s) + dropped()
				time.Sleep(20 * time.Millisecond)
				return r.waiting(s)+dropped() == before
			})
			before := dropped()
			texts := numberedTexts(200)
			for _, text := range texts {
				r.publishChat(text)
			}
			if err := r.client.Flush(); err != nil {
				t.Fatal(err)
			}
			blocked.mu.Unlock()
			natstest.Eventually(t, "the lines", func() bool {
				return r.count(s, bus.MessageLog, "stored") == float64(1+len(texts))
			})
			if dropped() != before {
				t.Errorf("%v messages dropped after the flood", dropped()-before)
			}
		})
	}
}
