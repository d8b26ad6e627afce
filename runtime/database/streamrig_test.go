package database_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// newStreamRig returns a rig whose server has JetStream.
func newStreamRig(t testing.TB) *rig {
	t.Helper()
	r := newRig(t, natstest.JetStream(t))
	return r
}

// bind returns a binding for a connection.
func bind(t testing.TB, conn *bus.Conn, change ...func(*config.JetStream)) *bus.Binding {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	stream := config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20}
	for _, one := range change {
		one(&stream)
	}
	return bus.NewBinding(bus.BindingOptions{Conn: conn, Subjects: subjects, JetStream: stream, Log: natstest.Log(t)})
}

// withStream has a service consume the stream if there is one.
func (r *rig) withStream(o *database.ServiceOptions) { o.Binding = bind(r.t, o.Conn) }

// startWithStream runs a service and waits until it consumes the stream.
func (r *rig) startWithStream(change ...func(*database.ServiceOptions)) *running {
	r.t.Helper()
	s := r.start(append([]func(*database.ServiceOptions){r.withStream}, change...)...)
	natstest.Eventually(r.t, "events to come from the stream", func() bool {
		return s.EventsCheck().Reason == status.ReasonStreamBound && s.NATSCheck().OK
	})
	return s
}

// waitUntilStreamStored waits until everything that was published before is stored.
func (r *rig) waitUntilStreamStored() {
	r.t.Helper()
	js, err := jetstream.New(r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	// An event without a user, behind all others.
	last, err := js.Publish(r.t.Context(), "rosey.db.user.joined", []byte("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	// What was in flight when a connection broke is delivered again after ten seconds.
	natstest.Within(r.t, 30*time.Second, "the stream's events to be stored", func() bool {
		consumer, err := js.Consumer(r.t.Context(), "rosey_events", "rosey_db")
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= last.Sequence
	})
}

// waitUntilPublished waits until the stream has received so many events, and returns the first that it still has.
func (r *rig) waitUntilPublished(last uint64) (first uint64) {
	r.t.Helper()
	js, err := jetstream.New(r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	natstest.Eventually(r.t, fmt.Sprintf("%d events in the stream", last), func() bool {
		stream, err := js.Stream(r.t.Context(), "rosey_events")
		if err != nil {
			return false
		}
		first = stream.CachedInfo().State.FirstSeq
		return stream.CachedInfo().State.LastSeq == last
	})
	return first
}

// withSharedStore has services use one store, as several do with a database server.
func (r *rig) withSharedStore() func(*database.ServiceOptions) {
	r.t.Helper()
	opened, err := r.sqlite(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = opened.Close() })
	return func(o *database.ServiceOptions) {
		o.Open = func(context.Context) (store.Store, error) { return sharedStore{opened}, nil }
	}
}

// streamBot returns a running publisher that publishes to the stream.
func (r *rig) streamBot() *publisher.Publisher {
	r.t.Helper()
	return r.botWith(func(o *publisher.Options) { o.Binding = bind(r.t, o.Conn) })
}
