package relational_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
	"rosey.dev/rosey/runtime/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

// place is a database that can be opened repeatedly.
type place struct {
	write, read opener
}

func closed[T store.Store](t *testing.T) func(s T, err error) T {
	t.Helper()
	return func(s T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// opener opens a database, and closes it with the test.
type opener func(t *testing.T) (store.Importer, relational.Store)

func sqlitePlace(t *testing.T) place {
	path := filepath.Join(t.TempDir(), "rosey.db")
	with := func(open func(context.Context, string) (*sqlite.Store, error)) opener {
		return func(t *testing.T) (store.Importer, relational.Store) {
			s := closed[*sqlite.Store](t)(open(t.Context(), path))
			return s, s.Store
		}
	}
	return place{with(sqlite.Open), with(sqlite.OpenReadOnly)}
}

func postgresPlace(t *testing.T) place {
	file := pgtest.Use(t).URLFile(t)
	with := func(open func(context.Context, string) (*postgres.Store, error)) opener {
		return func(t *testing.T) (store.Importer, relational.Store) {
			s := closed[*postgres.Store](t)(open(t.Context(), file))
			return s, s.Store
		}
	}
	return place{with(postgres.Open), with(postgres.OpenReadOnly)}
}

var places = map[string]func(*testing.T) place{"SQLite": sqlitePlace, "PostgreSQL": postgresPlace}

func move(t *testing.T, from, to relational.Store) (taken int64) {
	t.Helper()
	moved, err := relational.Move(t.Context(), from, to, func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range moved {
		taken += table.Taken
	}
	return taken
}

func TestMove(t *testing.T) {
	t.Parallel()
	for name, start := range places {
		for other, end := range places {
			t.Run(name+" to "+other, func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				t.Log("seed", seed)
				first, second := start(t), end(t)
				source, _ := first.write(t)
				storetest.Fill(t, source, seed)
				_, from := first.read(t)
				target, to := second.write(t)
				if taken := move(t, from, to); taken == 0 {
					t.Error("no rows were taken")
				}
				storetest.Same(t, source, target)
				if taken := move(t, from, to); taken != 0 {
					t.Errorf("moved again: %d rows were taken", taken)
				}
				storetest.Same(t, source, target)
				moveAgain(t, source, target, from, to)
			})
		}
	}
}

var movies = store.Channel{Server: "https://cytu.be", Name: "Movies"}

// moveAgain moves again after the source has changed, and then after the target has changed.
func moveAgain(t *testing.T, source, target store.Importer, from, to relational.Store) {
	t.Helper()
	at := time.UnixMilli(1763790000000).UTC()
	line := store.Event{ID: "later", Channel: movies, At: at, Fact: store.ChatLine{Username: "dave", Text: "later"}}
	if err := source.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	query := store.OutboundQuery{Limit: 1, MaxRetries: 3, Now: at}
	waiting, err := source.Outbound(t.Context(), movies, query)
	if err != nil || len(waiting) != 1 {
		t.Fatalf("%v, %v", waiting, err)
	}
	sent := store.Event{ID: "sent", Channel: movies, At: at, Fact: store.OutboundSent{ID: waiting[0].ID}}
	if err := source.Apply(t.Context(), []store.Event{sent}); err != nil {
		t.Fatal(err)
	}
	if taken := move(t, from, to); taken != 4 {
		t.Errorf("%d rows were taken, want the line, its user and hour, and the sent message", taken)
	}
	storetest.Same(t, source, target)

	id, err := target.Enqueue(t.Context(), movies, store.OutboundLine{Text: "new", At: at})
	if err != nil || id <= waiting[0].ID {
		t.Errorf("the next message of the target has ID %d, %v", id, err)
	}
	line.ID = "here"
	if err := target.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	if taken := move(t, from, to); taken != 0 {
		t.Errorf("%d rows were taken from an unchanged source", taken)
	}
	if user, _, err := target.User(t.Context(), movies, "dave"); err != nil || user.Lines != 2 {
		t.Errorf("%+v, %v: want the count of the target", user, err)
	}
}

func TestMoveToADatabaseWithOtherRows(t *testing.T) {
	t.Parallel()
	for name, end := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := sqlitePlace(t), end(t)
			source, _ := first.write(t)
			target, to := second.write(t)
			storetest.Fill(t, source, 1)
			storetest.Fill(t, target, 2)
			before, err := target.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, from := first.read(t)
			_, err = relational.Move(t.Context(), from, to, func(string, int64, int64) {})
			if err == nil || !strings.Contains(err.Error(), "rows of another database") {
				t.Errorf("%v, want an error that says so", err)
			}
			if after, err := target.Identity(t.Context()); err != nil || after != before {
				t.Errorf("the target's identity is %s, %v", after, err)
			}
		})
	}
}

// A service that was started with the target before the rows were moved has recorded its channel there. The position in
// the stream moves with the rows: what the source had stored is not stored again.
func TestMoveToADatabaseThatAServiceHasOpened(t *testing.T) {
	t.Parallel()
	first, second := sqlitePlace(t), postgresPlace(t)
	source, _ := first.write(t)
	storetest.Fill(t, source, 1)
	at := store.StreamPosition{Stream: "rosey_events", Created: time.UnixMilli(1763700000000).UTC(), Sequence: 7}
	if err := source.AdvanceStream(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	target, to := second.write(t)
	owners, ok := target.(store.ChannelOwners)
	if !ok {
		t.Fatalf("%T records no owners", target)
	}
	channel := store.Channel{Server: "https://cytu.be", Name: "Movies"}
	if _, err := owners.TakeChannel(t.Context(), store.Service{Prefix: "rosey"}, channel); err != nil {
		t.Fatal(err)
	}
	_, from := first.read(t)
	move(t, from, to)
	storetest.Same(t, source, target)
	if got, found, err := target.StreamPosition(t.Context(), "rosey_events"); err != nil || !found || got != at {
		t.Errorf("%+v, found %t, %v; want %+v", got, found, err, at)
	}
}

// Who is forgotten between two moves, in the source or in the target, must not stay in the target or come back to it,
// and their lines must not count twice.
func TestWhoWasForgottenIsNotMoved(t *testing.T) {
	t.Parallel()
	for name, end := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := sqlitePlace(t), end(t)
			source, _ := first.write(t)
			target, to := second.write(t)
			_, from := first.read(t)
			at := time.UnixMilli(1763700000000).UTC()
			var events []store.Event
			for i, user := range []string{"Alice", "alice", "bob", "carol"} {
				id := strconv.Itoa(i)
				events = append(events,
					store.Event{ID: "line" + id, Channel: movies, At: at, Fact: store.ChatLine{Username: user, Text: "hi"}},
					store.Event{ID: "film" + id, Channel: movies, At: at, Fact: store.MediaPlayed{
						Type: "yt", ID: id, Title: "x", QueuedBy: user,
					}})
			}
			if err := source.Apply(t.Context(), events); err != nil {
				t.Fatal(err)
			}
			move(t, from, to)
			for name, in := range map[string]store.Importer{"alice": source, "bob": target} {
				if _, err := in.ForgetPerson(t.Context(), movies, name, at.Add(time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				move(t, from, to)
			}
			for name, want := range map[string]int{"alice": 0, "bob": 0, "carol": 4} {
				rows, err := target.PersonRows(t.Context(), movies, name, store.PersonPosition{}, 99)
				if err != nil || len(rows) != want {
					t.Errorf("%s: %d rows, %v, want %d: %+v", name, len(rows), err, want, rows)
				}
			}
			if lines, err := target.RecentChat(t.Context(), movies, 9); err != nil || len(lines) != 1 {
				t.Errorf("lines %+v, %v, want carol's", lines, err)
			}
			hours, err := target.ChannelHours(t.Context(), movies, "", "")
			if day, _ := store.BusiestDay(hours, 0); err != nil || day.Lines != 4 {
				t.Errorf("the busiest day has %d lines, %v, want 4", day.Lines, err)
			}
		})
	}
}

// A value in the new database must not get the revision that one in the old database had, also of a key that is gone.
func TestMovedDatabaseUsesNoRevisionAgain(t *testing.T) {
	t.Parallel()
	for from, source := range places {
		for to, target := range places {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				fromStore, fromRelational := source(t).write(t)
				toStore, toRelational := target(t).write(t)
				channel := store.Channel{Server: "https://cytu.be", Name: "movies"}
				entry := func(key string, at time.Time) store.KVEntry {
					return store.KVEntry{
						KVKey: store.KVKey{Channel: channel, Plugin: "plugin/dice", Key: key}, Value: "1", At: at,
					}
				}
				later := time.Now().Add(time.Hour) // the clock of the old machine was ahead
				var last int64
				for _, key := range []string{"kept", "gone"} {
					revision, err := fromStore.KVSet(t.Context(), entry(key, later))
					if err != nil {
						t.Fatal(err)
					}
					last = revision
				}
				if _, err := fromStore.KVDelete(t.Context(), entry("gone", later).KVKey, nil, later); err != nil {
					t.Fatal(err)
				}
				move(t, fromRelational, toRelational)
				kept, exists, err := toStore.KVGet(t.Context(), entry("kept", later).KVKey, later)
				if err != nil || !exists || kept.Revision != last-1 {
					t.Errorf("the moved key: %+v, %v, %v; want the revision %d", kept, exists, err, last-1)
				}
				if revision, err := toStore.KVSet(t.Context(), entry("gone", time.Now())); err != nil || revision <= last {
					t.Errorf("revision %d, %v; want more than %d", revision, err, last)
				}
			})
		}
	}
}
