package database

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// TestRequestsThatMaySucceedLaterSaySo asks while too many queries wait, and then without a store.
func TestRequestsThatMaySucceedLaterSaySo(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "rosey.db")
	engine := NewEngine(EngineOptions{
		Channel: store.Channel{Server: "https://cytu.be", Name: "movies"}, Log: slog.New(slog.DiscardHandler),
		Open: func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) },
	})
	if err := engine.Open(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }() // its store is closed already
	retry := func(suffix bus.Suffix, body string) bool {
		t.Helper()
		answer, _ := engine.Answer(ctx, Request{Suffix: suffix, Data: []byte(body), Time: time.Now()})
		data, err := json.Marshal(answer)
		var reply bus.QueryError
		if err == nil {
			err = json.Unmarshal(data, &reply)
		}
		if err != nil || reply.Success || reply.Error == "" {
			t.Errorf("%s: %s, %v", suffix, data, err)
		}
		return reply.Retry
	}
	engine.queries.waiting.Store(maxWaitingQueries)
	if !retry(bus.QueryChat, "{}") {
		t.Error("too many queries: nothing says that it may be tried again")
	}
	engine.queries.waiting.Store(0)
	if retry(bus.QueryChat, `{"limit":-1}`) {
		t.Error("a mistake may be tried again")
	}
	if err := engine.store.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, body := range map[bus.Suffix]string{
		bus.QueryChat: "{}", bus.QueryUsers: "{}", bus.QueryMedia: "{}", bus.QueryChannelStats: "{}",
		bus.QueryUserStats: `{"username":"nora"}`, bus.DeadList: "{}", bus.DeadDrop: `{"ids":[1]}`,
		bus.OutboundPut: `{"message":"hi"}`, bus.OutboundCancel: `{"id":1}`,
	} {
		if !retry(suffix, body) {
			t.Errorf("%s without a store: nothing says that it may be tried again", suffix)
		}
	}
}
