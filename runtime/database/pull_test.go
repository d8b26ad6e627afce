package database_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
)

// TestNoEventIsDeliveredTwiceAfterTheStoreWasAway: what arrives while nothing can be stored, because the disk is full
// for example, must not fill the client's buffer until it drops events. They would be stored ten seconds later.
func TestNoEventIsDeliveredTwiceAfterTheStoreWasAway(t *testing.T) {
	r := newStreamRig(t)
	blocked, with := r.faultyStore()
	var conn *bus.Conn
	s := r.startWithStream(with, func(o *database.ServiceOptions) { conn = o.Conn })
	r.ready(s)
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	blocked.mu.Lock()
	const count = 6000
	for _, text := range numberedTexts(count) {
		r.publishChat(text)
	}
	r.waitUntilPublished(count)
	consumer, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
	if err != nil {
		t.Fatal(err)
	}
	delivered := func() uint64 {
		info, err := consumer.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Delivered.Consumer
	}
	for last := uint64(0); last == 0 || delivered() != last; { // as much as the service takes
		last = delivered()
		time.Sleep(200 * time.Millisecond)
	}
	if err := conn.NATS().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the next connection", func() bool {
		return conn.NATS().Stats().Reconnects == 1 && s.NATSCheck().OK
	})
	blocked.mu.Unlock()
	r.waitUntilStreamStored()
	same(t, "lines", numberedTexts(count), r.texts())
	if got := delivered(); got != count+1 {
		t.Errorf("%d deliveries of %d events", got, count+1)
	}
}
