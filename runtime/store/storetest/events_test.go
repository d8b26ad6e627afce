package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func allOrNothing(t storeTest) {
	valid := chatLine(1, "alice", "hi")
	negative := event(2, store.UserCount{Chat: -1})
	err := t.Apply(t.Context(), []store.Event{valid, negative, chatLine(3, "bob", "ho")})
	if !errors.Is(err, store.ErrRejected) {
		t.Errorf("a negative count: %v, want ErrRejected", err)
	}
	same(t, "lines after a rejected batch", nil, t.recent(unlimited))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := t.Apply(cancelled, []store.Event{valid}); err == nil || errors.Is(err, store.ErrRejected) {
		t.Errorf("with a cancelled context: %v, want an error other than ErrRejected", err)
	}
	t.apply(valid)
	same(t, "lines after the valid event", []string{"hi"}, t.recent(unlimited))
	same(t, "lines counted", 1, t.countLines(t.Context()))
}

// concurrentUse has two writers of the same events and a reader.
func concurrentUse(t storeTest) {
	const count = 50
	var writers sync.WaitGroup
	defer writers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		writers.Go(func() {
			for i := range count {
				if err := t.Apply(ctx, []store.Event{chatLine(float64(i), "alice", fmt.Sprint(i))}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			stored := len(t.recent(unlimited))
			if counted := t.countLines(ctx); counted < stored {
				t.Errorf("%d lines counted after %d were stored", counted, stored)
			}
		}
	}
	same(t, "lines counted", count, t.countLines(ctx))
}

func texts(lines []store.RecentLine) (texts []string) {
	for _, line := range lines {
		texts = append(texts, line.Text)
	}
	return texts
}

func (t storeTest) recent(limit int) []string {
	t.Helper()
	return texts(must[[]store.RecentLine](t)(t.RecentChat(t.Context(), movies, limit)))
}

// countLines returns the lines that are counted for all users.
func (t storeTest) countLines(ctx context.Context) (count int) {
	t.Helper()
	for _, chatter := range must[[]store.Chatter](t)(t.TopChatters(ctx, movies, unlimited)) {
		count += chatter.Lines
	}
	return count
}

func chatLines(t storeTest) {
	const text = "hello <b>you</b> &amp; you"
	hello := chatLine(1, "alice", text)
	t.apply(hello)
	t.apply(hello, hello)
	t.apply(chatLine(2, "alice", text), hello)
	want := []store.RecentLine{
		{At: at(1), Username: "alice", Text: text}, {At: at(2), Username: "alice", Text: text},
	}
	same(t, "a repeated event and two equal lines", want, t.read(movies).Chat)
	same(t, "lines counted", 2, t.countLines(t.Context()))
}

func recentChat(t storeTest) {
	for _, n := range []int{5, 1, 4, 2, 3} {
		t.apply(chatLine(float64(n), "alice", fmt.Sprint(n)))
	}
	for limit, want := range map[int][]string{3: {"3", "4", "5"}, 50: {"1", "2", "3", "4", "5"}, 0: nil, -1: nil} {
		same(t, fmt.Sprint("limit ", limit), want, t.recent(limit))
	}
}

func oneMillisecond(t storeTest) {
	var events []store.Event
	for _, id := range []string{"c", "a", "d", "b"} {
		event := chatLine(1, "alice", id)
		event.ID = id
		events = append(events, event)
	}
	t.apply(events...)
	same(t, "ordered by ID", []string{"a", "b", "c", "d"}, t.recent(4))
	same(t, "the newest two", []string{"c", "d"}, t.recent(2))
}

func unsafeText(t storeTest) {
	const valid = "🎬 ünïcödé 'quotes' \"and\" \\ % _ \r\n\t"
	t.apply(chatLine(1, "al\x00ice", "before\x00after"), chatLine(2, "bob", "bad \xff\xfe bytes"),
		chatLine(3, "carol", valid), event(4, field("current_media_title", "\"ti\x00tle\"")))
	id := t.enqueue(movies, 0, "a\x00b\xff")
	got := t.read(movies)
	want := []store.RecentLine{
		{At: at(1), Username: "al\uFFFDice", Text: "before\uFFFDafter"},
		{At: at(2), Username: "bob", Text: "bad \uFFFD bytes"},
		{At: at(3), Username: "carol", Text: valid},
	}
	same(t, "lines", want, got.Chat)
	same(t, "status", field("current_media_title", "\"ti\uFFFDtle\"").Fields, got.Status)
	same(t, "outbound", []store.OutboundMessage{{ID: id, EnqueuedAt: at(0), Text: "a\uFFFDb\uFFFD"}}, got.Due)
}

func withoutUser(t storeTest) {
	t.apply(chatLine(1, "", "ignored"), event(2, store.UserJoined{}), event(3, store.UserLeft{}),
		chatLine(4, " ", "a blank is a name"))
	got := t.read(movies)
	same(t, "lines", []string{"a blank is a name"}, texts(got.Chat))
	if len(got.Users) != 1 || got.Users[0].Username != " " {
		t.Errorf("users: %+v, want the blank name only", got.Users)
	}
}

func topChatters(t storeTest) {
	for i, name := range []string{"bob", "alice", "carol", "Alice", "bob", "alice"} {
		t.apply(chatLine(float64(i), name, "hi"))
	}
	t.apply(event(10, store.UserJoined{Username: "silent"}))
	want := []store.Chatter{{Username: "alice", Lines: 3}, {Username: "bob", Lines: 2}, {Username: "carol", Lines: 1}}
	for limit, want := range map[int][]store.Chatter{10: want, 2: want[:2], 0: {}} {
		got := must[[]store.Chatter](t)(t.TopChatters(t.Context(), movies, limit))
		same(t, fmt.Sprint("limit ", limit), want, got)
	}
}

func highWater(t storeTest) {
	for _, step := range []struct {
		why  string
		n    float64
		mark store.HighWater
		want store.Maxima
	}{
		{"nothing known", 1, store.HighWater{}, store.Maxima{}},
		{"first", 20, store.HighWater{Chat: 5}, store.Maxima{Chat: 5, ChatAt: at(20)}},
		{
			"connected", 30, store.HighWater{Chat: 4, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: at(20), Connected: 9, ConnectedAt: at(30)},
		},
		{
			"later tie", 40, store.HighWater{Chat: 5, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: at(20), Connected: 9, ConnectedAt: at(30)},
		},
		{
			"earlier tie", 10, store.HighWater{Chat: 5, Connected: new(9)},
			store.Maxima{Chat: 5, ChatAt: at(10), Connected: 9, ConnectedAt: at(10)},
		},
		{
			"one of two is higher", 50, store.HighWater{Chat: 6, Connected: new(8)},
			store.Maxima{Chat: 6, ChatAt: at(50), Connected: 9, ConnectedAt: at(10)},
		},
	} {
		t.apply(event(step.n, step.mark))
		same(t, step.why, step.want, t.read(movies).Maxima)
	}
}

func userCounts(t storeTest) {
	sample := event(2, store.UserCount{Chat: 5, Connected: 2})
	t.apply(event(3, store.UserCount{Chat: 1, Connected: 7}), sample, sample)
	t.apply(sample, event(1, store.UserCount{}))
	want := []store.CountSample{{At: at(1)}, {At: at(2), Chat: 5, Connected: 2}, {At: at(3), Chat: 1, Connected: 7}}
	same(t, "all", want, t.read(movies).Counts)
	same(t, "the newest two", want[1:], must[[]store.CountSample](t)(t.UserCounts(t.Context(), movies, 2)))
}

func status(t storeTest) {
	all := store.Status{Fields: map[string]json.RawMessage{
		"bot_name": json.RawMessage(`"Rosey"`), "bot_rank": json.RawMessage(`2.5`), "bot_afk": json.RawMessage(`true`),
		"current_chat_users": json.RawMessage(`3`), "current_media_title": json.RawMessage(`"Film"`),
	}}
	t.apply(event(10, all))
	same(t, "all fields", all.Fields, t.read(movies).Status)
	t.apply(event(30, field("bot_afk", false)), event(20, field("bot_afk", true)),
		event(20, field("current_media_title", `""`)), event(5, field("current_chat_users", 99)),
		event(40, store.Status{}))
	all.Fields["bot_afk"], all.Fields["current_media_title"] = json.RawMessage(`false`), json.RawMessage(`""`)
	same(t, "the last writer of each field by time", all.Fields, t.read(movies).Status)
}

func actions(t storeTest) {
	say := event(2, store.Action{Username: "mod", Type: store.ActionPMCommand, Details: "cmd=say, args: hi"})
	t.apply(say, say)
	t.apply(event(1, store.Action{Username: "MOD", Type: "other"}), say)
	t.apply(event(3, store.Action{Details: "without a user"}))
	want := []store.PastAction{
		{At: at(1), Action: store.Action{Username: "MOD", Type: "other"}},
		{At: at(2), Action: store.Action{Username: "mod", Type: "pm_command", Details: "cmd=say, args: hi"}},
	}
	got := t.read(movies)
	same(t, "actions", want, got.Actions)
	same(t, "an action does not make a user seen", []store.User{}, got.Users)
	same(t, "the newest", want[1:], must[[]store.PastAction](t)(t.Actions(t.Context(), movies, 1)))
}

// sameIDs tests that an event is stored although its ID was used in another channel before, in the same batch or not.
func sameIDs(t storeTest) {
	facts := []store.Fact{
		store.UserJoined{Username: "alice"}, store.ChatLine{Username: "alice", Text: "hi"}, store.UserCount{Chat: 1},
		store.Action{Username: "alice", Type: "a", Details: "d"},
	}
	all := func(channel store.Channel) (events []store.Event) {
		for i, fact := range facts {
			events = append(events, store.Event{ID: fmt.Sprint(i), Channel: channel, At: at(1), Fact: fact})
		}
		return events
	}
	t.apply(all(music)...)
	t.apply(append(all(movies), all(other)...)...)
	t.apply(append(all(music), all(other)...)...)
	want := t.read(music)
	for _, channel := range []store.Channel{movies, other} {
		same(t, channel.Name, want, t.read(channel))
	}
	same(t, "lines", 1, want.Users[0].Lines)
	if removed, _ := t.prune(store.PruneUserCounts, at(2), 1); removed != 3 {
		t.Errorf("removed %d samples, want 3", removed)
	}
}

func channels(t storeTest) {
	for i, channel := range []store.Channel{movies, music, other} {
		for _, event := range []store.Event{
			event(1, store.UserJoined{Username: "alice"}), chatLine(2, "alice", channel.Server+channel.Name),
			event(3, store.UserCount{Chat: i}), event(4, store.HighWater{Chat: i + 1}),
			event(5, field("playlist_items", i)),
		} {
			event.ID += channel.Server + channel.Name
			event.Channel = channel
			t.apply(event)
		}
	}
	for i, channel := range []store.Channel{movies, music, other} {
		got := t.read(channel)
		same(t, "lines", []string{channel.Server + channel.Name}, texts(got.Chat))
		same(t, "chatters", []store.Chatter{{Username: "alice", Lines: 1}}, got.Top)
		same(t, "samples", []store.CountSample{{At: at(3), Chat: i}}, got.Counts)
		same(t, "maxima", store.Maxima{Chat: i + 1, ChatAt: at(4)}, got.Maxima)
		same(t, "status", field("playlist_items", i).Fields, got.Status)
	}
	same(t, "another spelling", t.read(movies), t.read(store.Channel{Server: "HTTPS://CYTU.BE", Name: "MOVIES"}))
}

// oneIDTwice has a batch with two lines of one ID, of which the first one is stored, but not its user, who may have
// been pruned: it must not count for another user.
func oneIDTwice(t storeTest) {
	t.apply(chatLine(100, "old", "x"))
	t.prune(store.PrunePeople, at(200), 9)
	first, second := chatLine(50, "alice", "x"), chatLine(300, "zoe", "x")
	second.ID = first.ID
	t.apply(first, second)
	zoe, seen, err := t.User(t.Context(), movies, "zoe")
	if err != nil || !seen || zoe.Lines != 0 {
		t.Errorf("%+v, seen %t, %v; want no lines", zoe, seen, err)
	}
}

// emptyDays has a line that is repeated after its user and the hours were pruned: it is not counted again, and its day
// is not the busiest one.
func emptyDays(t storeTest) {
	line := chatLine(100, "gone", "x")
	t.apply(line)
	t.prune(store.PrunePeople, at(200), 9)
	line.At = at(300)
	t.apply(line)
	same(t, "busiest day", store.HourCount{}, t.busiestDay(movies, 0))
}
