package database

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// storeStay stores that somebody was in a channel for some time, or is there if it is 0.
func storeStay(t *testing.T, engine *Engine, channel store.Channel, name string, stay time.Duration) {
	t.Helper()
	joined := time.Now().Add(-time.Hour)
	events := []store.Event{
		{ID: "join " + name, Channel: channel, At: joined, Fact: store.UserJoined{Username: name}},
	}
	if stay > 0 {
		events = append(events, store.Event{
			ID: "left " + name, Channel: channel, At: joined.Add(stay), Fact: store.UserLeft{Username: name},
		})
	}
	if err := engine.store.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// TestAChannelWithManyUsersDoesNotFillTheMemory remembers the times of three users at most.
func TestAChannelWithManyUsersDoesNotFillTheMemory(t *testing.T) {
	engine := openEngine(t)
	engine.queries.times.most = 3
	for i, name := range []string{"A", "b", "C", "d", "e", "f"} {
		storeStay(t, engine, engine.decoder.own, name, time.Duration(i+1)*time.Minute)
	}
	storeStay(t, engine, engine.decoder.own, "newcomer", 0)
	list := func(body string) string {
		var names []string
		for _, user := range answered(t, engine, bus.QueryUsers, body).Items {
			names = append(names, fmt.Sprint(user.Username, user.ConnectedMS/60_000, user.OnlineSinceMS > 0))
		}
		return strings.Join(names, " ")
	}
	if got := list(`{"sort":"hours"}`); got != "f6 false e5 false d4 false" {
		t.Errorf("the longest times: %s", got)
	}
	if got := list(`{"sort":"name"}`); got != "A0 false b0 false C0 false d4 false e5 false f6 false newcomer0 true" {
		t.Errorf("all users: %s", got)
	}
	if reply := answered(t, engine, bus.QueryRecords, `{}`); reply.Longest == nil || reply.Longest.Username != "f" {
		t.Errorf("the longest session: %+v", reply.Longest)
	}
}

// TestCountingAnewForgetsNoOtherChannel has two channels with as many users together as are remembered.
func TestCountingAnewForgetsNoOtherChannel(t *testing.T) {
	engine := openEngine(t)
	times := &engine.queries.times
	times.most = 4
	own, other, third := store.Channel{Name: "a"}, store.Channel{Name: "b"}, store.Channel{Name: "c"}
	count := func(channel store.Channel, users int) {
		known := &knownTimes{users: make([]store.UserTime, users)}
		times.finish(channel, &timesCount{done: make(chan struct{}), times: known})
	}
	count(own, 2)
	count(other, 2)
	if count(own, 2); times.known[other] == nil || times.known[own] == nil {
		t.Error("the times of a channel were forgotten although there is room")
	}
	if count(third, 3); times.known[third] == nil || len(times.known) > 1 {
		t.Errorf("the times of %d channels are known", len(times.known))
	}
}

// watchedStore counts how often the watches are read, and reads one user in a turn.
type watchedStore struct {
	store.Store

	read int
}

func (s *watchedStore) Watches(ctx context.Context, channel store.Channel) (store.Watches, error) {
	s.read++
	return s.Store.Watches(ctx, channel)
}

func (s *watchedStore) UserTimes(
	ctx context.Context, channel store.Channel, query store.TimesQuery,
) ([]store.UserTime, error) {
	query.Until = time.Time{}
	return s.Store.UserTimes(ctx, channel, query)
}

// TestManyWatchesDoNotKeepACountFromItsEnd is about a bot that has reconnected so often that reading when it was there
// takes longer than a turn.
func TestManyWatchesDoNotKeepACountFromItsEnd(t *testing.T) {
	engine := openEngine(t)
	counted := &watchedStore{Store: engine.store}
	engine.store = counted
	for _, name := range []string{"a", "b", "c"} {
		storeStay(t, engine, engine.decoder.own, name, time.Minute)
	}
	if reply := answered(t, engine, bus.QueryUsers, `{"sort":"hours"}`); len(reply.Items) != 3 {
		t.Errorf("users: %+v", reply)
	}
	if counted.read != 1 {
		t.Errorf("a count has read the watches %d times, expected once", counted.read)
	}
}
