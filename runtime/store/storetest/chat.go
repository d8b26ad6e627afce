package storetest

import (
	"fmt"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

func chatLines(t *testing.T, s store.Store) {
	hello := said(1, "alice", "hello <b>you</b> &amp; you")
	apply(t, s, hello)
	apply(t, s, hello, hello)
	apply(t, s, said(2, "alice", "hello <b>you</b> &amp; you"), hello)
	want := []store.RecentLine{
		{At: clock(1), Username: "alice", Text: "hello <b>you</b> &amp; you"},
		{At: clock(2), Username: "alice", Text: "hello <b>you</b> &amp; you"},
	}
	same(t, "a line replayed is stored once, a line said again twice", want, read(t, s, movies).Chat)
	same(t, "and counted so", 2, lines(t.Context(), t, s))
}

func recentChat(t *testing.T, s store.Store) {
	// Stored in another order than said.
	for _, n := range []int{5, 1, 4, 2, 3} {
		apply(t, s, said(float64(n), "alice", fmt.Sprint(n)))
	}
	same(t, "the newest three", []string{"3", "4", "5"}, recent(t, s, 3))
	same(t, "more than there are", []string{"1", "2", "3", "4", "5"}, recent(t, s, 50))
	for _, limit := range []int{0, -1} {
		same(t, fmt.Sprintf("limit %d", limit), nil, recent(t, s, limit))
	}
}

func oneMillisecond(t *testing.T, s store.Store) {
	var events []store.Event
	for _, id := range []string{"c", "a", "d", "b"} {
		event := said(1, "alice", id)
		event.ID = id
		events = append(events, event)
	}
	apply(t, s, events...)
	same(t, "several lines in one millisecond", []string{"a", "b", "c", "d"}, recent(t, s, 4))
	same(t, "the newest two of them", []string{"c", "d"}, recent(t, s, 2))
}

func topChatters(t *testing.T, s store.Store) {
	for i, name := range []string{"bob", "alice", "carol", "Alice", "bob", "alice"} {
		apply(t, s, said(float64(i), name, "hi"))
	}
	apply(t, s, happened(10, store.UserJoined{Username: "silent"}))
	want := []store.Chatter{{Username: "alice", Lines: 3}, {Username: "bob", Lines: 2}, {Username: "carol", Lines: 1}}
	got := must[[]store.Chatter](t)(s.TopChatters(t.Context(), movies, 10))
	same(t, "most lines first, spellings together", want, got)
	got = must[[]store.Chatter](t)(s.TopChatters(t.Context(), movies, 2))
	same(t, "the first two", want[:2], got)
	same(t, "none", []store.Chatter{}, must[[]store.Chatter](t)(s.TopChatters(t.Context(), movies, 0)))
}

func unsafeText(t *testing.T, s store.Store) {
	apply(t, s,
		said(1, "al\x00ice", "before\x00after"),
		said(2, "bob", "bad \xff\xfe bytes"),
		said(3, "carol", "🎬 ünïcödé 'quotes' \"and\" \\ % _ \r\n\t"),
		happened(4, store.Status{CurrentMediaTitle: new("ti\x00tle")}),
	)
	want := []store.RecentLine{
		{At: clock(1), Username: "al\uFFFDice", Text: "before\uFFFDafter"},
		{At: clock(2), Username: "bob", Text: "bad \uFFFD bytes"},
		{At: clock(3), Username: "carol", Text: "🎬 ünïcödé 'quotes' \"and\" \\ % _ \r\n\t"},
	}
	got := read(t, s, movies)
	same(t, "texts", want, got.Chat)
	same(t, "a status", store.Status{CurrentMediaTitle: new("ti\uFFFDtle")}, got.Status)
	id := enqueue(t, s, movies, 0, "a\x00b\xff")
	same(t, "an outbound message", []store.OutboundMessage{{ID: id, EnqueuedAt: clock(0), Text: "a\uFFFDb\uFFFD"}},
		read(t, s, movies).Waiting)
}

func nobody(t *testing.T, s store.Store) {
	apply(t, s,
		said(1, "", "who said that"),
		happened(2, store.UserJoined{}), happened(3, store.UserLeft{}),
		said(4, " ", "a blank is a name"),
	)
	got := read(t, s, movies)
	same(t, "lines", []string{"a blank is a name"}, texts(got.Chat))
	if len(got.Users) != 1 || got.Users[0].Username != " " {
		t.Errorf("users: %+v, want only the blank one", got.Users)
	}
}
