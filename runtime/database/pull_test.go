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

// TestNoEventIsDeliveredTwiceAfterTheStoreWasAway: what arrives while nothing can be stored, because the disk is full
// for example, must not fill the client's buffer until it drops events. They would be stored ten seconds later.
func TestNoEventIsDeliveredTwiceAfterTheStoreWasAway(t *testing.T) {
	t.Run("many events", func(t *testing.T) { loseConnectionWithoutStore(t, 6000, 0) })
	t.Run("large events", func(t *testing.T) { loseConnectionWithoutStore(t, 1500, 16<<10) })
}

// loseConnectionWithoutStore publishes events of a size while nothing can be stored. The service reconnects before it
// can store them.
func loseConnectionWithoutStore(t *testing.T, count, size int) {
	t.Helper()
	r := newStreamRig(t)
	blocked, with := r.faultyStore()
	var conn *bus.Conn
	s := r.startWithStream(with, func(o *database.ServiceOptions) { conn = o.Conn })
	r.ready(s)
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	padding := strings.Repeat("x", size)
	blocked.mu.Lock()
	for _, text := range numberedTexts(count) {
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q,"padding":%q}`, text, padding))
	}
	r.waitUntilPublished(uint64(count))
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
	if got := delivered(); got != uint64(count)+1 {
		t.Errorf("%d deliveries of %d events", got, count+1)
	}
}
