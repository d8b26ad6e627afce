package database_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
)

// An unmodified Python bot publishes each event twice, without IDs. A stream stores them although the bot does not know
// of it, so no service needs to run.
func TestStreamStoresEventsOfAPythonPublisher(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startWithStream()) // whoever came first made the stream
	texts := numberedTexts(300)
	for _, text := range texts {
		r.publishChat(text)
		r.publishChat(text)
	}
	r.waitUntilPublished(600)
	r.server.Restart()
	s := r.startWithStream()
	r.waitUntilStreamStored()
	same(t, "lines", texts, r.texts())
	users, err := r.openReadOnly().Users(t.Context(), movies)
	if err != nil || len(users) != 1 || users[0].Lines != 300 {
		t.Errorf("users %+v, %v; want alice and each line counted once", users, err)
	}
	if stored := r.count(s, bus.MessageLog, "stored"); stored != 300 {
		t.Errorf("%v stored", stored)
	}
}

func TestTwoServicesShareTheStream(t *testing.T) {
	r := newStreamRig(t)
	share := r.withSharedStore()
	first, second := r.startWithStream(share), r.startWithStream(share)
	texts := numberedTexts(200)
	for i, text := range texts {
		r.publishChat(text)
		if i%20 == 0 { // so that both have to wait for something
			r.waitUntilStreamStored()
		}
	}
	r.waitUntilStreamStored()
	if lines := r.lines(); len(lines) != len(texts) {
		t.Errorf("%d lines, want each of %d once", len(lines), len(texts))
	}
	for _, s := range []*running{first, second} {
		if r.count(s, bus.MessageLog, "stored") == 0 {
			t.Error("one service handled nothing")
		}
	}
}

// One service after the other is replaced while events are published.
func TestRollingUpdateOfServices(t *testing.T) {
	t.Parallel()
	r := newStreamRig(t)
	share := r.withSharedStore()
	pub := r.streamBot()
	services := []*running{r.startWithStream(share), r.startWithStream(share)}
	texts := numberedTexts(2000)
	start := time.UnixMilli(1763700000000)
	for i, text := range texts {
		r.publishLine(pub, text, start.Add(time.Duration(i)*time.Millisecond))
		if i%500 == 250 {
			one := i / 500 % 2
			fresh := r.startWithStream(share)
			r.stop(services[one])
			services[one] = fresh
		}
	}
	if err := pub.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.waitUntilStreamStored()
	same(t, "lines", texts, r.texts())
}

func TestEventsStayInTheStreamWhileTheStoreIsUnavailable(t *testing.T) {
	r := newStreamRig(t)
	faulty, with := r.faultyStore()
	s := r.startWithStream(with, database.WithGracePeriod(50*time.Millisecond))
	faulty.failing.Store(true)
	for _, text := range numberedTexts(50) {
		r.publishChat(text)
	}
	natstest.Eventually(t, "attempts", func() bool { return faulty.applies.Load() > 1 })
	for range 3 { // a bot asks for lines to say all the time
		err := r.client.PublishRequest("rosey.db.messages.outbound.get", "_INBOX.nobody", []byte(`{"limit":1}`))
		if err == nil {
			err = r.client.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.stop(s) // and it does not say that something is lost
	r.startWithStream()
	r.waitUntilStreamStored()
	same(t, "lines", numberedTexts(50), r.texts())
}

func TestInvalidMessagesBecomeDeadLetters(t *testing.T) {
	r := newStreamRig(t)
	s := r.startWithStream()
	r.publishChat("first")
	r.publish(bus.MessageLog, `nonsense`)
	r.publish(bus.StatsUserCount, `{"chat_count":-1,"connected_count":5}`)
	r.publishChat("last")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"first", "last"}, r.texts())
	deadLetters, err := r.openReadOnly().DeadLetters(t.Context(), "", 0, 10)
	if err != nil || len(deadLetters) != 2 || deadLetters[0].MsgID == "" {
		t.Errorf("dead letters %+v, %v", deadLetters, err)
	}
	same(t, "dead letters", 2.0, r.metric(s, "rosey_database_dead_letters_total"))
}

func TestStreamTimeBoundsEventTimes(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startWithStream())
	began := time.Now()
	r.publish(bus.MessageLog, `{"username":"alice","message":"future","timestamp":33000000000}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"none"}`)
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	published := time.Now()
	r.startWithStream()
	r.waitUntilStreamStored()
	for _, line := range r.lines() {
		if line.At.Before(began.Truncate(time.Millisecond)) || line.At.After(published.Add(3*time.Second)) {
			t.Errorf("%q has the time %v, want when it was published", line.Text, line.At)
		}
	}
}

// A stream of an earlier version may hold large messages. They are fetched a few at a time, so that they do not fill
// the memory of a service.
func TestLargeMessagesAreFetchedAFewAtATime(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startWithStream()) // makes the stream
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "rosey_events")
	if err != nil {
		t.Fatal(err)
	}
	earlier := stream.CachedInfo().Config
	earlier.MaxMsgSize, earlier.MaxBytes = -1, 1<<30
	if _, err := js.UpdateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	const count, size = 60, 1_000_000
	r.publishChat("first")
	for range count {
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"a","message":%q}`, strings.Repeat("x", size)))
	}
	r.waitUntilPublished(count + 1)

	blocked, with := r.faultyStore()
	blocked.mu.Lock()
	s := r.startWithStream(with)
	last := 0
	natstest.Eventually(t, "the service to fetch no more", func() bool {
		time.Sleep(50 * time.Millisecond)
		consumer, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
		if err != nil {
			return false
		}
		before := last
		last = consumer.CachedInfo().NumAckPending
		return last > 4 && last == before
	})
	if last*size > 24<<20 {
		t.Errorf("%d messages of %d bytes were fetched before any was stored", last, size)
	}
	blocked.mu.Unlock()
	r.waitUntilStreamStored()
	r.stop(s)
}
