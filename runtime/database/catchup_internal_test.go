package database

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
)

// TestEventsThatAreReadAgainDoNotFillTheMemory reads large events again, of which some were removed.
func TestEventsThatAreReadAgainDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream(t))
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := bus.Connect(t.Context(), bus.Options{URL: server.URL(), Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	natstest.Eventually(t, "a connection", conn.Connected)
	js, err := jetstream.New(conn.NATS())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.StreamName(), Subjects: []string{"rosey.db.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const events, large = 12, 1_000_000
	for range events {
		if _, err := js.Publish(t.Context(), "rosey.db.user.joined", make([]byte, large)); err != nil {
			t.Fatal(err)
		}
	}
	for _, removed := range []uint64{1, 6} {
		if err := stream.DeleteMsg(t.Context(), removed); err != nil {
			t.Fatal(err)
		}
	}
	consumer := &streamConsumer{conn: conn, subjects: subjects}
	read := 0
	for next := uint64(1); next <= events; {
		var batch []arrival
		if batch, next, err = consumer.readBatch(t.Context(), stream, next, events); err != nil {
			t.Fatal(err)
		}
		if read += len(batch); len(batch)*large > maxBatchBytes+large {
			t.Fatalf("%d events of %d bytes at once", len(batch), large)
		}
	}
	if read != events-2 {
		t.Errorf("%d of %d events were read", read, events-2)
	}
}
