package database

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

func TestInboxDeliversWhatArrivedBeforeClose(t *testing.T) {
	i := newInbox(bus.Subjects{})
	const count = 1000
	for range count {
		i.events <- &nats.Msg{}
	}
	i.close()
	i.receive(t.Context())
	got := 0
	for batch := i.next(30); len(batch) > 0; batch = i.next(30) {
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
	i := newInbox(bus.Subjects{})
	for range maxWaiting {
		i.arrived <- &arrival{}
	}
	i.events <- &nats.Msg{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i.receive(ctx) // returns although arrived is full
	if i.len() < maxWaiting {
		t.Errorf("%d messages left", i.len())
	}
}
