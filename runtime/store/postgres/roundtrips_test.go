package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// relay is a proxy in front of a server that counts round trips: how often a client sends after it was answered.
type relay struct {
	trips   atomic.Int64
	answers atomic.Bool // the last bytes came from the server
}

// startRelay returns a proxy and the database's URL through it.
func startRelay(t *testing.T, databaseURL string) (*relay, string) {
	t.Helper()
	through, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	where := through.Query()
	r, socket := &relay{}, filepath.Join(where.Get("host"), ".s.PGSQL."+where.Get("port"))
	r.answers.Store(true)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("unix", socket)
			if err != nil {
				_ = client.Close()
				return
			}
			go r.pass(client, upstream, func() {
				if r.answers.Swap(false) {
					r.trips.Add(1)
				}
			})
			go r.pass(upstream, client, func() { r.answers.Store(true) })
		}
	}()
	through.Host, through.RawQuery = listener.Addr().String(), ""
	return r, through.String()
}

func (r *relay) pass(from, to net.Conn, note func()) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		note()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A line of chat must not wait for the server more often than a bare insert does.
func TestABatchOfEventsIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	counted, through := startRelay(t, pgtest.Use(t).Database(t))
	s := mustOpen(t, pgtest.WriteURL(t, through))
	event := func(n int, id string, fact store.Fact) store.Event {
		return store.Event{ID: id, Channel: movies, At: clock(n), Fact: fact}
	}
	joined := func(n int) store.Event { return event(n, "j", store.UserJoined{Username: "carol"}) }
	for i, events := range [][]store.Event{
		{said(1, "alice", "a")},
		{said(1, "alice", "a")}, // again
		{said(2, "alice", "b"), said(2, "bob", "b"), joined(2)},
		{event(3, "c", store.UserCount{Chat: 2, Connected: 3})},
		{joined(4)},
	} {
		next := func(n int) []store.Event { // the same kinds, later
			later := append([]store.Event{}, events...)
			for i := range later {
				later[i].ID += "+"
				later[i].At = later[i].At.Add(time.Duration(n) * time.Hour)
			}
			return later
		}
		// The first one inserts the channel, the second one remembers it, and the driver prepares statements that it has not
		// sent before.
		for n := range 3 {
			if err := s.Apply(t.Context(), next(n)); err != nil {
				t.Fatal(err)
			}
		}
		before := counted.trips.Load()
		if err := s.Apply(t.Context(), next(3)); err != nil {
			t.Fatal(err)
		}
		if trips := counted.trips.Load() - before; trips != 1 {
			t.Errorf("batch %d took %d round trips, want 1", i, trips)
		}
	}
}

// What a service remembers of a channel may be out of date: a line that another one has pruned must not come back, and
// one that was not pruned must not get lost.
func TestChannelPrunedByAnotherService(t *testing.T) {
	t.Parallel()
	file := pgtest.Use(t).URLFile(t)
	one, other := mustOpen(t, file), mustOpen(t, file)
	old := []store.Event{said(1, "alice", "old")}
	if err := one.Apply(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	rule := store.PruneRule{Kind: store.PruneChat, Before: clock(2)}
	if removed, err := other.Prune(t.Context(), rule, 100); err != nil || removed != 1 {
		t.Fatal(removed, err)
	}
	for range 2 {
		if err := one.Apply(t.Context(), append(old, said(3, "alice", "new"))); err != nil {
			t.Fatal(err)
		}
	}
	chat, chatErr := one.RecentChat(t.Context(), movies, 9)
	user, _, err := one.User(t.Context(), movies, "alice")
	if chatErr != nil || err != nil || len(chat) != 1 || chat[0].Text != "new" || user.Lines != 2 {
		t.Errorf("%v, %v, %+v, %v; want the new line, and two counted", chat, chatErr, user, err)
	}
}

// The row of a channel that a transaction inserted is gone with it, and the service must not believe in it.
func TestChannelOfATransactionThatFailed(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	long := said(1, "alice", "a")
	long.ID = noise(10000)
	for _, failing := range [][]store.Event{{long}, {said(2, "bob", "b"), long}} {
		expect(t, s.Apply(t.Context(), failing), store.ErrRejected, "storing rows of chat: ")
	}
	if err := s.Apply(t.Context(), []store.Event{said(2, "bob", "b")}); err != nil {
		t.Fatal(err)
	}
	if chat, err := s.RecentChat(t.Context(), movies, 9); err != nil || len(chat) != 1 {
		t.Error(chat, err)
	}
}

// A service that ends must not wait for a statement that the server does not finish, and a connection that was
// interrupted must not be used again.
func TestATransactionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	if err := s.Apply(t.Context(), []store.Event{said(1, "alice", "a")}); err != nil {
		t.Fatal(err)
	}
	other, watcher := rawConn(t, server, name(t, database)), rawConn(t, server, name(t, database))
	run(t, other, "BEGIN")
	run(t, other, "LOCK TABLE channels IN ACCESS EXCLUSIVE MODE")
	ctx, cancel := context.WithCancel(t.Context())
	applied := make(chan error, 1)
	go func() { applied <- s.Apply(ctx, []store.Event{said(2, "alice", "b")}) }()
	waitForWaiter(t, watcher)
	cancel()
	if err := <-applied; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context was canceled", err)
	}
	run(t, other, "COMMIT")
	if err := s.Apply(t.Context(), []store.Event{said(3, "alice", "c")}); err != nil {
		t.Error(err)
	}
}
