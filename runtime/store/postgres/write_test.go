package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

var movies = store.Channel{Server: "https://cytu.be", Name: "Movies"}

func clock(n int) time.Time { return time.UnixMilli(1763700000000 + int64(n)*1000).UTC() }

func said(n int, user, text string) store.Event {
	return store.Event{
		ID: fmt.Sprintf("%012x-%s", clock(n).UnixMilli(), user), Channel: movies, At: clock(n),
		Fact: store.ChatLine{Username: user, Text: text},
	}
}

// rawConn returns a connection of the superuser.
func rawConn(t *testing.T, server *pgtest.Server, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres", pgtest.Password, database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// waitForWaiter waits until a connection of the database waits for a lock.
func waitForWaiter(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	const query = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var waiting int
		if err := conn.QueryRow(t.Context(), query).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			return
		}
	}
	t.Fatal("nobody waits for a lock")
}

func TestConcurrentServices(t *testing.T) {
	t.Parallel()
	file := pgtest.Use(t).URLFile(t)
	const services, lines = 4, 300
	var events []store.Event
	for i := range lines {
		events = append(events, said(i, fmt.Sprint("user", i%7), fmt.Sprint(i)))
	}
	var writing sync.WaitGroup
	for range services {
		s := mustOpen(t, file)
		writing.Go(func() {
			mine := append([]store.Event{}, events...)
			rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for len(mine) > 0 {
				n := min(20, len(mine))
				if err := s.Apply(t.Context(), mine[:n]); err != nil {
					t.Error(err)
				}
				mine = mine[n:]
			}
		})
	}
	writing.Wait()
	s := mustOpen(t, file)
	chat, err := s.RecentChat(t.Context(), movies, 1000)
	if err != nil || len(chat) != lines {
		t.Fatalf("%d lines, %v; want %d", len(chat), err, lines)
	}
	counted := 0
	chatters, err := s.TopChatters(t.Context(), movies, 100)
	for _, chatter := range chatters {
		counted += chatter.Lines
	}
	if err != nil || counted != lines {
		t.Errorf("%d lines are counted, %v; want %d", counted, err, lines)
	}
}

func TestDeadlockIsRetried(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	role := name(t, database)
	other, watcher := rawConn(t, server, role), rawConn(t, server, role)
	// The transaction of the store is the victim, however slow the machine is.
	run(t, watcher, "ALTER ROLE "+role+" SET deadlock_timeout = '3s'")
	run(t, other, "SET deadlock_timeout = '1h'")
	s := mustOpen(t, pgtest.WriteURL(t, database))
	both := []store.Event{said(1, "alice", "a"), said(1, "bob", "b")}
	if err := s.Apply(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	run(t, other, "BEGIN")
	run(t, other, "UPDATE users SET name = name WHERE name_key = 'bob'")
	applied := make(chan error, 1)
	go func() { applied <- s.Apply(t.Context(), []store.Event{said(2, "alice", "c"), said(2, "bob", "d")}) }()
	waitForWaiter(t, watcher)
	run(t, other, "UPDATE users SET name = name WHERE name_key = 'alice'") // until the store is the victim
	run(t, other, "COMMIT")
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	var deadlocks int
	const query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
	for deadline := time.Now().Add(time.Minute); deadlocks == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the server counts with a delay
		if err := watcher.QueryRow(t.Context(), query).Scan(&deadlocks); err != nil {
			t.Fatal(err)
		}
	}
	// There may be more than one: the repetition may lock alice before the other transaction, which waits for her, wakes.
	if chat, err := s.RecentChat(t.Context(), movies, 9); err != nil || len(chat) != 4 || deadlocks == 0 {
		t.Errorf("%d lines, %v, %d deadlocks; want 4 lines after a deadlock", len(chat), err, deadlocks)
	}
}

// A line that is pruned while a service applies its repetition must not be stored and counted again.
func TestConcurrentPruneAndRepetition(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	pruner, watcher := rawConn(t, server, name(t, database)), rawConn(t, server, name(t, database))
	s := mustOpen(t, pgtest.WriteURL(t, database))
	line := []store.Event{said(1, "alice", "a")}
	if err := s.Apply(t.Context(), line); err != nil {
		t.Fatal(err)
	}
	run(t, pruner, "BEGIN")
	run(t, pruner, fmt.Sprintf("UPDATE channels SET chat_pruned_to = %d", clock(1).UnixMilli()))
	run(t, pruner, "DELETE FROM chat")
	applied := make(chan error, 1)
	go func() { applied <- s.Apply(t.Context(), line) }()
	waitForWaiter(t, watcher)
	run(t, pruner, "COMMIT")
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	chat, chatErr := s.RecentChat(t.Context(), movies, 9)
	user, _, err := s.User(t.Context(), movies, "alice")
	if chatErr != nil || err != nil || len(chat) != 0 || user.Lines != 1 {
		t.Errorf("%v, %v, %+v, %v; want no line and one counted", chat, chatErr, user, err)
	}
}

func TestConcurrentClaims(t *testing.T) {
	t.Parallel()
	file := pgtest.Use(t).URLFile(t)
	const services, count = 4, 100
	first := mustOpen(t, file)
	for i := range count {
		if _, err := first.Enqueue(t.Context(), movies, store.OutboundLine{Text: fmt.Sprint(i), At: clock(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var claiming sync.WaitGroup
	var mu sync.Mutex
	owners := map[int64]string{}
	for i := range services {
		s, claimant := mustOpen(t, file), fmt.Sprint("pod", i)
		claiming.Go(func() {
			for limit := 3; limit <= count+3; limit += 3 { // its own messages are returned again, so the limit must grow
				got, err := s.Outbound(t.Context(), movies, store.OutboundQuery{
					Limit: limit, MaxRetries: 3, Claimant: claimant, Now: clock(count),
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, message := range got {
					if owner := owners[message.ID]; owner != "" && owner != claimant {
						t.Errorf("message %d was handed out to %s and to %s", message.ID, owner, claimant)
					}
					owners[message.ID] = claimant
				}
				mu.Unlock()
			}
		})
	}
	claiming.Wait()
	if len(owners) != count {
		t.Errorf("%d messages were handed out, want %d", len(owners), count)
	}
}

func TestClaimSkipsLockedMessages(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	other := rawConn(t, server, name(t, database))
	s := mustOpen(t, pgtest.WriteURL(t, database))
	for i := range 2 {
		if _, err := s.Enqueue(t.Context(), movies, store.OutboundLine{Text: fmt.Sprint(i), At: clock(i)}); err != nil {
			t.Fatal(err)
		}
	}
	run(t, other, "BEGIN")
	run(t, other, "UPDATE outbound SET claimed_by = 'other', claimed_until = 9e18 WHERE text = '0'")
	got, err := s.Outbound(t.Context(), movies, store.OutboundQuery{
		Limit: 1, MaxRetries: 3, Claimant: "me", Now: clock(9),
	})
	if err != nil || len(got) != 1 || got[0].Text != "1" {
		t.Errorf("%v, %v; want the message that is not locked", got, err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	if err := s.Apply(t.Context(), []store.Event{said(1, "alice", "a")}); err != nil {
		t.Fatal(err)
	}
	server.Fill(t, name(t, database))
	var many []store.Event
	for i := range 400 {
		many = append(many, said(i, "alice", noise(5000)))
	}
	expect(t, s.Apply(t.Context(), many), store.ErrFull, "could not extend file")
	var deadLetters []store.DeadLetter
	for range 40 {
		deadLetters = append(deadLetters, store.NewDeadLetter("s", "", "r", []byte(noise(60000)), clock(1)))
	}
	_, err := s.AddDeadLetters(t.Context(), deadLetters, store.DeadLetterQuota{})
	expect(t, err, store.ErrFull, "could not extend file")
}

// noise returns a text that cannot be compressed.
func noise(length int) string {
	text := make([]byte, length)
	for i := range text {
		text[i] = byte('!' + rand.IntN(90))
	}
	return string(text)
}

func TestRejectedEvent(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	long := said(1, "alice", "a")
	long.ID = noise(10000)
	expect(t, s.Apply(t.Context(), []store.Event{said(2, "bob", "b"), long}), store.ErrRejected, "maximum")
	chat, err := s.RecentChat(t.Context(), movies, 9)
	if diff := cmp.Diff([]store.RecentLine{}, chat); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestReadHasATimeLimit(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	other := rawConn(t, server, name(t, database))
	run(t, other, "BEGIN")
	run(t, other, "LOCK TABLE channels, users, high_water IN ACCESS EXCLUSIVE MODE")
	s.db.timeout = 50 * time.Millisecond
	if _, err := s.Users(t.Context(), movies); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that the time limit has passed", err)
	}
}
