package database

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

func TestInboxDeliversWhatArrivedBeforeClose(t *testing.T) {
	i := newInbox(bus.Subjects{}, newMetrics(nil), slog.New(slog.DiscardHandler))
	const count = 1000
	for range count {
		i.incoming <- &nats.Msg{}
	}
	i.close()
	i.receive(t.Context())
	got := 0
	room := make([]arrival, 0, 30)
	for batch := i.next(room); len(batch) > 0; batch = i.next(room) {
		if len(batch) > 30 {
			t.Fatalf("a batch of %d messages, want at most 30", len(batch))
		}
		got += len(batch)
	}
	if got != count {
		t.Errorf("%d messages delivered, want %d", got, count)
	}
}

func TestInboxReceiveEndsWithItsContext(t *testing.T) {
	i := newInbox(bus.Subjects{}, newMetrics(nil), slog.New(slog.DiscardHandler))
	for range maxWaiting {
		i.arrived <- &arrival{}
	}
	i.incoming <- &nats.Msg{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i.close()
	i.receive(ctx) // returns although arrived is full
	if i.len() < maxWaiting {
		t.Errorf("%d messages left", i.len())
	}
}

// A key that was published without a reply subject was not counted when it was lost: nobody repeats it.
func TestWhatNobodyAwaitsIsLost(t *testing.T) {
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	i := newInbox(subjects, newMetrics(nil), slog.New(slog.DiscardHandler))
	for _, reply := range []string{"", nats.InboxPrefix + "a"} {
		i.accept(&nats.Msg{Subject: subjects.Subject(bus.KVSet), Reply: reply, Header: nats.Header{}})
	}
	if lost := i.discard(); lost != 1 {
		t.Errorf("%d messages are lost, want the one that was published", lost)
	}
}

// A transport may still put a message while the grace period ends: that must not be a send on a closed channel.
func TestInboxIsOpenForPutUntilItIsClosed(t *testing.T) {
	i := newInbox(bus.Subjects{}, newMetrics(nil), slog.New(slog.DiscardHandler))
	working, end := context.WithCancel(t.Context())
	received := make(chan struct{})
	go func() { defer close(received); i.receive(working) }()
	end()
	time.Sleep(20 * time.Millisecond) // enough for a receive that closes arrived too early
	i.put(t.Context(), arrival{})     // panics if arrived is closed
	i.close()
	<-received
	if batch := i.next(make([]arrival, 0, 2)); len(batch) != 1 {
		t.Errorf("%d messages, want 1", len(batch))
	}
}
