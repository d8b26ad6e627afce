package database

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// openEngine returns an engine with an SQLite database. It is closed when the test ends; the test may close its store.
func openEngine(t *testing.T) *Engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rosey.db")
	engine := NewEngine(EngineOptions{
		Channel: store.Channel{Server: "https://cytu.be", Name: "movies"}, Log: slog.New(slog.DiscardHandler),
		Open: func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) },
	})
	if err := engine.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// TestAWithheldLineIsDueSoon has a restarted bot ask for the line that it had claimed, while a report may still be in
// the stream. The reply must not have it wait until the claim ends, because the events are stored within a moment.
func TestAWithheldLineIsDueSoon(t *testing.T) {
	ctx, engine := t.Context(), openEngine(t)
	answer := func(suffix bus.Suffix, body string) any {
		t.Helper()
		reply, err := engine.Answer(ctx, Request{Suffix: suffix, Data: []byte(body), Time: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	get := func() bus.OutboundReply {
		t.Helper()
		reply, ok := answer(bus.OutboundGet, `{"claimant":"pod-a"}`).(bus.OutboundReply)
		if !ok || reply.NextDue == nil {
			t.Fatalf("reply %+v", reply)
		}
		return reply
	}
	var storedUntil time.Time
	engine.setBarrier(func(context.Context) time.Time { return storedUntil })
	answer(bus.OutboundPut, `{"message":"hi"}`)
	if first := get(); len(first.Lines) != 1 || *first.NextDue <= withheldPause {
		t.Errorf("the first claim: %d lines, the next is due in %s", len(first.Lines), *first.NextDue)
	}
	if again := get(); len(again.Lines) != 0 || *again.NextDue != withheldPause {
		t.Errorf("withheld: %d lines, the next is due in %s", len(again.Lines), *again.NextDue)
	}
	storedUntil = time.Now().Add(time.Hour)
	if stored := get(); len(stored.Lines) != 1 {
		t.Errorf("after the events are stored: %d lines", len(stored.Lines))
	}
}
