package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func pruneChat(t *testing.T, s store.Store) {
	music := store.Channel{Server: movies.Server, Name: "Music"}
	var events []store.Event
	for i := range 10 {
		events = append(events, said(float64(i), "alice", fmt.Sprint(i)))
	}
	elsewhere := said(2, "alice", "music")
	elsewhere.Channel, elsewhere.ID = music, "music"
	apply(t, s, append(events, elsewhere)...)

	removed, steps := pruneAll(t, s, store.PruneChat, clock(4), 3)
	if removed != 5 || steps != 3 {
		t.Errorf("removed %d in %d steps, want 5 in 3: of one channel 3 and 1, of the other 1", removed, steps)
	}
	left := []string{"4", "5", "6", "7", "8", "9"}
	same(t, "what is left", left, recent(t, s, all))
	same(t, "all lines are still counted", 10, lines(t.Context(), t, s))

	// CyTube repeats old lines to everyone who joins.
	apply(t, s, events...)
	same(t, "a line that was pruned does not come back", left, recent(t, s, all))
	same(t, "and is not counted again", 10, lines(t.Context(), t, s))

	// Nothing newer than it has been pruned, so this one cannot have been: a bot kept it for long.
	late := said(3.5, "bob", "kept")
	apply(t, s, late)
	same(t, "an old line that was never stored", append([]string{"kept"}, left...), recent(t, s, all))
	if removed, _ := pruneAll(t, s, store.PruneChat, clock(4), 3); removed != 1 {
		t.Errorf("removed %d, want the late line", removed)
	}
	apply(t, s, late)
	same(t, "its end", left, recent(t, s, all))
	same(t, "its count", 11, lines(t.Context(), t, s))
}

func prune(t *testing.T, s store.Store) {
	for i := range 5 {
		apply(t, s, happened(float64(i), store.UserCount{Chat: i}))
		id := enqueue(t, s, movies, float64(i), fmt.Sprint(i))
		if i%2 == 0 {
			reportSent(t, s, id, float64(i))
		} else {
			reportFailed(t, s, float64(i), store.OutboundFailed{ID: id, Permanent: true})
		}
	}
	enqueue(t, s, movies, 0, "waits")
	for _, kind := range []store.RowKind{store.PruneUserCounts, store.PruneOutbound} {
		removed, steps := pruneAll(t, s, kind, clock(3), 2)
		if removed != 3 || steps != 2 {
			t.Errorf("%s: removed %d in %d steps, want 3 in 2", kind, removed, steps)
		}
	}
	same(t, "samples", []store.CountSample{{At: clock(3), Chat: 3}, {At: clock(4), Chat: 4}}, read(t, s, movies).Counts)
	same(t, "what waits is kept", []string{"waits"}, outboundTexts(ask(t, s, "", 9, all)))
	if _, err := s.Prune(t.Context(), store.PruneRule{Kind: "users", Before: clock(3)}, 2); err == nil {
		t.Error("users were pruned")
	}
}

func upkeep(t *testing.T, s store.Store) {
	apply(t, s, said(1, "alice", "hi"))
	if err := s.Optimize(t.Context()); err != nil {
		t.Error(err)
	}
	if size := must[int64](t)(s.Size(t.Context())); size < 1000 {
		t.Errorf("the database takes %d bytes", size)
	}
	same(t, "lines", []string{"hi"}, recent(t, s, all))
}

func deadLetters(t *testing.T, s store.Store) {
	ctx := t.Context()
	long := bytes.Repeat([]byte("x"), store.MaxDeadLetterBytes+1)
	letters := []store.DeadLetter{
		store.NewDeadLetter("db.message.log", "a/db.message.log", "not JSON", []byte("{\x00\xff"), clock(1)),
		store.NewDeadLetter("db.message.log", "", "too\x00long", long, clock(2)),
		store.NewDeadLetter("db.user.left", "", "not an object", []byte("7"), clock(3)),
	}
	add := func() {
		if err := s.AddDeadLetters(ctx, letters); err != nil {
			t.Fatal(err)
		}
	}
	add()
	got := must[[]store.DeadLetter](t)(s.DeadLetters(ctx, 0, 10))
	if len(got) != 3 {
		t.Fatalf("%d letters, want 3", len(got))
	}
	want := []store.DeadLetter{
		{
			ID: got[0].ID, At: clock(1), Subject: "db.message.log", MsgID: "a/db.message.log", Reason: "not JSON",
			Payload: []byte("{\x00\xff"), Size: 3,
		},
		{
			ID: got[1].ID, At: clock(2), Subject: "db.message.log", Reason: "too\uFFFDlong",
			Payload: long[:store.MaxDeadLetterBytes], Size: store.MaxDeadLetterBytes + 1,
		},
		{ID: got[2].ID, At: clock(3), Subject: "db.user.left", Reason: "not an object", Payload: []byte("7"), Size: 1},
	}
	same(t, "letters", want, got)
	add()
	same(t, "one with an id is one letter", 5, len(must[[]store.DeadLetter](t)(s.DeadLetters(ctx, 0, 10))))
	same(t, "page", want[1:2], must[[]store.DeadLetter](t)(s.DeadLetters(ctx, got[0].ID, 1)))

	same(t, "dropped", true, must[bool](t)(s.DropDeadLetter(ctx, got[0].ID)))
	same(t, "dropped again", false, must[bool](t)(s.DropDeadLetter(ctx, got[0].ID)))
	if removed, _ := pruneAll(t, s, store.PruneDeadLetters, clock(2).Add(time.Millisecond), 10); removed != 2 {
		t.Errorf("removed %d, want 2", removed)
	}
	same(t, "what is left", 2, len(must[[]store.DeadLetter](t)(s.DeadLetters(ctx, 0, 10))))
	deadLettersAreBounded(t, s)
}

func deadLettersAreBounded(t *testing.T, s store.Store) {
	t.Helper()
	var many []store.DeadLetter
	for i := range store.MaxDeadLetters {
		many = append(many, store.NewDeadLetter("s", "", fmt.Sprint(i), nil, clock(10)))
	}
	if err := s.AddDeadLetters(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	got := must[[]store.DeadLetter](t)(s.DeadLetters(t.Context(), 0, all))
	if len(got) != store.MaxDeadLetters || got[0].Reason != "0" {
		t.Errorf("%d letters from %q on, want the newest %d", len(got), got[0].Reason, store.MaxDeadLetters)
	}
}
