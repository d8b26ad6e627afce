package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// hangingPostgres starts a PostgreSQL server that the test may freeze, and returns a function that opens a database.
func hangingPostgres(t *testing.T) (*pgtest.Server, func(context.Context) (store.Store, error)) {
	t.Helper()
	if _, err := pgtest.Programs(); err != nil {
		t.Skip(err)
	}
	server, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	file := server.URLFile(t)
	return server, func(ctx context.Context) (store.Store, error) { return postgres.Open(ctx, file) }
}

// endLimit is far below what waiting for a server that hangs takes: 15 s for a connection to be closed, 30 s for a
// transaction.
const endLimit = 12 * time.Second

// A service whose database server hangs ends within the grace period of its pod, and the stream keeps what it could not
// store.
func TestAServiceEndsWhileItsServerHangs(t *testing.T) {
	t.Parallel()
	server, open := hangingPostgres(t)
	r := newStreamRig(t)
	withPostgres := func(o *database.ServiceOptions) { o.Open, o.GracePeriod = open, 100*time.Millisecond }
	s := r.startWithStream(withPostgres)
	r.publish(bus.MessageLog, `{"username":"alice","message":"before"}`, "1/db.message.log")
	r.waitUntilStreamStored()
	thaw := server.Freeze(t)
	r.publish(bus.MessageLog, `{"username":"alice","message":"meanwhile"}`, "2/db.message.log")
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	waiting := func() (pending uint64, unacknowledged int) {
		consumer, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
		if err != nil {
			t.Fatal(err)
		}
		return consumer.CachedInfo().NumPending, consumer.CachedInfo().NumAckPending
	}
	natstest.Eventually(t, "the service to have the line", func() bool { _, count := waiting(); return count == 1 })
	s.end()
	natstest.Within(t, endLimit, "the service to end", func() bool { return len(s.ended) > 0 })
	if pending, unacknowledged := waiting(); pending+uint64(unacknowledged) != 1 {
		t.Errorf("the stream has %d events to deliver and %d to be acknowledged, want one", pending, unacknowledged)
	}
	if waits := s.StreamWaiting(); waits != nil {
		t.Errorf("%d events wait for a service that has ended", *waits)
	}
	thaw()
	if waits := r.startWithStream(withPostgres).StreamWaiting(); waits == nil || *waits != 1 {
		t.Errorf("%v events wait, expected 1", waits)
	}
	r.waitUntilStreamStored()
	opened, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	if lines, err := opened.RecentChat(t.Context(), movies, 9); err != nil || len(lines) != 2 {
		t.Errorf("stored: %v, %v; want both lines", lines, err)
	}
}

// A bot that has its database itself ends in time, too, and so does one that has opened it as a fallback.
func TestADirectDatabaseEndsWhileItsServerHangs(t *testing.T) {
	t.Parallel()
	server, open := hangingPostgres(t)
	for _, run := range []func(*database.Direct, context.Context) error{
		(*database.Direct).Run, (*database.Direct).RunOnDemand,
	} {
		direct := database.NewDirect(database.DirectOptions{EngineOptions: database.EngineOptions{
			Channel: movies, Open: open, Log: natstest.Log(t),
		}})
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(direct, ctx) }()
		line := bus.Message{Suffix: bus.MessageLog, ID: "1/db.message.log", Data: []byte(`{"username":"a","message":"b"}`)}
		if err := direct.Store(t.Context(), []bus.Message{line}); err != nil {
			t.Fatal(err)
		}
		thaw := server.Freeze(t)
		storing, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		line.ID = "2/db.message.log"
		if err := direct.Store(storing, []bus.Message{line}); err == nil {
			t.Error("stored by a server that hangs")
		}
		stop()
		end()
		natstest.Within(t, endLimit, "the database to be closed", func() bool { return len(ended) > 0 })
		thaw()
	}
}
