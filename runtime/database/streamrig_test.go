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

// newStreamRig is a rig whose server has JetStream.
func newStreamRig(t testing.TB) *rig {
	t.Helper()
	r := newRig(t, natstest.JetStream(t))
	return r
}

// bind is the decision of a process with a connection of its own.
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

// durable has a service take events from the stream where there is one.
func (r *rig) durable(o *database.ServiceOptions) { o.Binding = bind(r.t, o.Conn) }

// startDurable runs a service that takes events from the stream, and waits until it does.
func (r *rig) startDurable(change ...func(*database.ServiceOptions)) *running {
	r.t.Helper()
	s := r.start(append([]func(*database.ServiceOptions){r.durable}, change...)...)
	natstest.Eventually(r.t, "events to come from the stream", func() bool {
		return s.EventsCheck().Reason == status.ReasonStreamBound && s.NATSCheck().OK
	})
	return s
}

// drained waits until all that was published before is stored.
func (r *rig) drained() {
	r.t.Helper()
	js, err := jetstream.New(r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	// An event about nobody, behind all others.
	last, err := js.Publish(r.t.Context(), "rosey.db.user.joined", []byte("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	// What was on its way when a connection broke comes again after ten seconds.
	natstest.Within(r.t, 30*time.Second, "the stream's events to be stored", func() bool {
		consumer, err := js.Consumer(r.t.Context(), "rosey_events", "rosey_db")
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= last.Sequence
	})
}

// published waits until the stream has so many events, and answers the first that it still has.
func (r *rig) published(last uint64) (first uint64) {
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

// shared has services work on one store, as several do on a database server.
func (r *rig) shared() func(*database.ServiceOptions) {
	r.t.Helper()
	opened, err := r.sqlite(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = opened.Close() })
	return func(o *database.ServiceOptions) {
		o.Open = func(context.Context) (store.Store, error) { return keptOpen{opened}, nil }
	}
}

// durableBot is a bot whose events the stream keeps.
func (r *rig) durableBot() *publisher.Publisher {
	r.t.Helper()
	return r.botWith(func(o *publisher.Options) { o.Binding = bind(r.t, o.Conn) })
}
