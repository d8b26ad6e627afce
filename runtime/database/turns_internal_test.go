package database

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/store"
)

// slowStore is a store in which searches, and the times of users, take until proceed is closed. If it hangs, so does
// all chat.
type slowStore struct {
	store.Store

	proceed chan struct{}
	hangs   bool
}

func (s slowStore) wait(ctx context.Context) error {
	select {
	case <-s.proceed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading: %w", ctx.Err())
	}
}

func (s slowStore) Chat(
	ctx context.Context, channel store.Channel, query store.ChatQuery,
) (page store.ChatPage, err error) {
	if query.Match != nil || s.hangs {
		if err := s.wait(ctx); err != nil {
			return page, err
		}
	}
	return s.Store.Chat(ctx, channel, query)
}

func (s slowStore) UserTimes(
	ctx context.Context, channel store.Channel, query store.TimesQuery,
) ([]store.UserTime, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.UserTimes(ctx, channel, query)
}

// slowDown makes the store of an engine slow, until the returned function is called.
func slowDown(engine *Engine) (proceed func()) {
	slow := slowStore{engine.store, make(chan struct{}), false}
	engine.store = slow
	return sync.OnceFunc(func() { close(slow.proceed) })
}

// outcome is what all replies to queries say.
type outcome struct {
	Success bool            `json:"success"`
	Retry   bool            `json:"retry"`
	Busy    bool            `json:"busy"`
	Error   string          `json:"error"`
	Items   []bus.UserItem  `json:"items"`
	Longest *bus.RecordItem `json:"longest_session"`
	Busiest *bus.RecordItem `json:"busiest_day"`
}

func answered(t *testing.T, engine *Engine, suffix bus.Suffix, body string) (reply outcome) {
	t.Helper()
	answer, err := engine.Answer(t.Context(), Request{Suffix: suffix, Data: []byte(body), Time: time.Now()})
	if err != nil {
		t.Error(err)
	}
	data, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(data, &reply)
	}
	if err != nil {
		t.Errorf("%s: %s, %v", suffix, data, err)
	}
	return reply
}

// TestSearchesOfTwoWebPagesLeaveATurn has as many web pages search as queries are answered at a time.
func TestSearchesOfTwoWebPagesLeaveATurn(t *testing.T) {
	engine := openEngine(t)
	proceed := slowDown(engine)
	var searching sync.WaitGroup
	for range maxQueries {
		searching.Go(func() {
			if reply := answered(t, engine, bus.QueryChat, `{"words":"x"}`); !reply.Success {
				t.Errorf("a search has no turn: %+v", reply)
			}
		})
	}
	natstest.Eventually(t, "both search", func() bool { return engine.queries.waiting.all.Load() == maxQueries })
	for range 20 {
		for _, suffix := range []bus.Suffix{bus.QueryChat, bus.QueryMedia, bus.QueryOutbound, bus.QueryUserCounts} {
			if reply := answered(t, engine, suffix, `{}`); !reply.Success {
				t.Fatalf("%s while others search: %+v", suffix, reply)
			}
		}
	}
	proceed()
	searching.Wait()
	if all, searches := engine.queries.waiting.all.Load(), engine.queries.waiting.searches.Load(); all+searches != 0 {
		t.Errorf("%d queries and %d searches wait for ever", all, searches)
	}
}

// TestADatabaseThatHangsIsNoMistakeOfTheClient asks for what is read at once, in the time of a bubble.
func TestADatabaseThatHangsIsNoMistakeOfTheClient(t *testing.T) {
	engine := openEngine(t)
	engine.store = slowStore{engine.store, nil, true}
	synctest.Test(t, func(t *testing.T) {
		for body, want := range map[string]bus.QueryError{
			"{}": {Error: errUnavailable, Retry: true}, `{"words":"x"}`: {Error: errSlow.Error()},
		} {
			reply, _ := engine.Answer(t.Context(), Request{Suffix: bus.QueryChat, Data: []byte(body), Time: time.Now()})
			if reply != any(want) {
				t.Errorf("%s: %+v", body, reply)
			}
		}
	})
}

// TestManyWaitingSearchesRefuseNoList has as many searches wait as may.
func TestManyWaitingSearchesRefuseNoList(t *testing.T) {
	engine := openEngine(t)
	engine.queries.waiting.all.Store(maxWaitingSearches)
	engine.queries.waiting.searches.Store(maxWaitingSearches)
	if reply := answered(t, engine, bus.QueryChat, `{"words":"x"}`); reply.Success || !reply.Busy {
		t.Errorf("one search more: %+v", reply)
	}
	if reply := answered(t, engine, bus.QueryChat, `{}`); !reply.Success {
		t.Errorf("a list: %+v", reply)
	}
}

// storePresence stores that alice was there for 100 seconds, and a line of hers.
func storePresence(t *testing.T, engine *Engine, since time.Time) {
	t.Helper()
	channel := engine.decoder.own
	err := engine.store.Apply(t.Context(), []store.Event{
		{ID: fmt.Sprintf("join %v", since), Channel: channel, At: since, Fact: store.UserJoined{Username: "alice"}},
		{ID: fmt.Sprintf("line %v", since), Channel: channel, At: since, Fact: store.ChatLine{Username: "alice", Text: "x"}},
		{ID: fmt.Sprintf("left %v", since), Channel: channel, At: since.Add(100 * time.Second),
			Fact: store.UserLeft{Username: "alice"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestYearsOfPresenceDelayNoList has a count of all joins and leaves that takes long: the first one, and a later one.
func TestYearsOfPresenceDelayNoList(t *testing.T) {
	engine := openEngine(t)
	began := time.Now().Add(-time.Hour)
	storePresence(t, engine, began)
	proceed := slowDown(engine)
	const byHours = `{"sort":"hours"}`
	if reply := answered(t, engine, bus.QueryUsers, byHours); !reply.Busy || reply.Error != errCounting.Error() {
		t.Errorf("the first list: %+v, want to be told to try again", reply)
	}
	if reply := answered(t, engine, bus.QueryRecords, `{}`); !reply.Success || reply.Longest != nil {
		t.Errorf("the first records: %+v", reply)
	}
	if !engine.queries.times.isCounting() {
		t.Error("nothing is counted when nobody waits")
	}
	proceed()
	connected := func() int64 {
		reply := answered(t, engine, bus.QueryUsers, byHours)
		if !reply.Success || len(reply.Items) != 1 {
			return 0
		}
		return reply.Items[0].ConnectedMS
	}
	natstest.Eventually(t, "alice's time", func() bool { return connected() == 100_000 })
	if reply := answered(t, engine, bus.QueryRecords, `{}`); reply.Longest == nil || reply.Longest.Count != 100 ||
		reply.Busiest == nil || reply.Busiest.Count != 1 {
		t.Errorf("records: %+v", reply)
	}

	storePresence(t, engine, began.Add(10*time.Minute))
	known := engine.queries.times.known[engine.decoder.own.Fold()]
	known.until = time.Time{} // the first count took so long that it would be good for a while
	proceed = slowDown(engine)
	natstest.Eventually(t, "a later count", func() bool {
		if connected() != 100_000 {
			t.Fatal("what was known is not shown while it is counted again")
		}
		return engine.queries.times.isCounting()
	})
	if connected() != 100_000 {
		t.Error("what was known is not shown while it is counted again")
	}
	proceed()
	natstest.Eventually(t, "alice's new time", func() bool { return connected() == 200_000 })
}

func TestCountsEndWithTheStore(t *testing.T) {
	engine := openEngine(t)
	slowDown(engine)
	answered(t, engine, bus.QueryUsers, `{}`)
	if !engine.queries.times.isCounting() {
		t.Fatal("nothing is counted")
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	if engine.queries.times.isCounting() {
		t.Error("a count outlives the store")
	}
}
