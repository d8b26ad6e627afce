package storetest

import (
	"bytes"
	"fmt"
	"regexp"
	"time"

	"rosey.dev/rosey/runtime/store"
)

var randomUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func identity(t storeTest) {
	first := must[string](t)(t.Identity(t.Context()))
	if !randomUUID.MatchString(first) {
		t.Errorf("identity %q, want a random UUID", first)
	}
	t.apply(chatLine(1, "alice", "hi"))
	same(t, "identity after a change", first, must[string](t)(t.Identity(t.Context())))
}

// prune removes the rows of a kind in steps of limit, and returns how many and in how many steps.
func (t storeTest) prune(kind store.RowKind, before time.Time, limit int) (removed, steps int64) {
	t.Helper()
	for {
		n := must[int64](t)(t.Prune(t.Context(), store.PruneRule{Kind: kind, Before: before}, limit))
		if n == 0 {
			return removed, steps
		}
		removed += n
		steps++
	}
}

func pruneChat(t storeTest) {
	var events []store.Event
	for i := range 10 {
		events = append(events, chatLine(float64(i), "alice", fmt.Sprint(i)))
	}
	t.apply(events...)
	t.apply(in(music, []store.Event{chatLine(2, "alice", "music")})...)
	if removed, steps := t.prune(store.PruneChat, at(4), 3); removed != 5 || steps != 3 {
		t.Errorf("removed %d in %d steps, want 5 in 3: 3 and 1 of movies, 1 of music", removed, steps)
	}
	left := []string{"4", "5", "6", "7", "8", "9"}
	same(t, "lines after pruning", left, t.recent(unlimited))
	same(t, "lines counted", 10, t.countLines(t.Context()))

	// CyTube repeats old lines to everyone who joins.
	t.apply(events...)
	same(t, "pruned lines that are repeated", left, t.recent(unlimited))
	same(t, "lines counted", 10, t.countLines(t.Context()))

	// It is newer than all that was pruned, so it cannot have been stored before.
	late := chatLine(3.5, "bob", "late")
	t.apply(late)
	same(t, "a late line", append([]string{"late"}, left...), t.recent(unlimited))
	if removed, _ := t.prune(store.PruneChat, at(4), 3); removed != 1 {
		t.Errorf("removed %d, want the late line", removed)
	}
	t.apply(late)
	same(t, "the late line repeated after pruning", left, t.recent(unlimited))
	same(t, "lines counted", 11, t.countLines(t.Context()))
}

func pruneOthers(t storeTest) {
	for i := range 5 {
		n := float64(i)
		t.apply(event(n, store.UserCount{Chat: i}), played(n, fmt.Sprint(i), ""))
		if id := t.enqueue(movies, n, fmt.Sprint(i)); i%2 == 0 {
			t.reportSent(id, n)
		} else {
			t.reportFailed(n, store.OutboundFailed{ID: id, Permanent: true})
		}
	}
	t.enqueue(movies, 0, "queued")
	for _, kind := range []store.RowKind{store.PruneUserCounts, store.PruneMedia, store.PruneOutbound} {
		if removed, steps := t.prune(kind, at(3), 2); removed != 3 || steps != 2 {
			t.Errorf("%s: removed %d in %d steps, want 3 in 2", kind, removed, steps)
		}
	}
	same(t, "samples", []store.CountSample{{At: at(3), Chat: 3}, {At: at(4), Chat: 4}}, t.read(movies).Counts)
	same(t, "outbound", []string{"queued"}, t.claimTexts("", 9, unlimited))
	if _, err := t.Prune(t.Context(), store.PruneRule{Kind: "users", Before: at(3)}, 2); err == nil {
		t.Error("users were pruned")
	}
}

func optimize(t storeTest) {
	t.apply(chatLine(1, "alice", "hi"))
	if err := t.Optimize(t.Context()); err != nil {
		t.Error(err)
	}
	if size := must[int64](t)(t.Size(t.Context())); size < 1000 {
		t.Errorf("size %d bytes", size)
	}
	same(t, "lines", []string{"hi"}, t.recent(unlimited))
}

func deadLetters(t storeTest) {
	long := bytes.Repeat([]byte("x"), store.MaxDeadLetterBytes+1)
	deadLetters := []store.DeadLetter{
		store.NewDeadLetter("db.message.log", "a/db.message.log", "not JSON", []byte("{\x00\xff"), at(1)),
		store.NewDeadLetter("db.message.log", "", "too\x00long", long, at(2)),
		store.NewDeadLetter("db.user.left", "", "not an object", []byte("7"), at(3)),
	}
	t.addDeadLetters(deadLetters...)
	got := t.deadLetters(0, 10)
	if len(got) != 3 {
		t.Fatalf("%d dead letters, want 3", len(got))
	}
	want := []store.DeadLetter{
		{
			ID: got[0].ID, At: at(1), Subject: "db.message.log", MsgID: "a/db.message.log", Reason: "not JSON",
			Payload: []byte("{\x00\xff"), Size: 3,
		},
		{
			ID: got[1].ID, At: at(2), Subject: "db.message.log", Reason: "too\uFFFDlong",
			Payload: long[:store.MaxDeadLetterBytes], Size: store.MaxDeadLetterBytes + 1,
		},
		{ID: got[2].ID, At: at(3), Subject: "db.user.left", Reason: "not an object", Payload: []byte("7"), Size: 1},
	}
	same(t, "dead letters", want, got)
	t.addDeadLetters(deadLetters...)
	same(t, "number after one with an ID was repeated", 5, len(t.deadLetters(0, 10)))
	same(t, "page", want[1:2], t.deadLetters(got[0].ID, 1))

	for _, existed := range []bool{true, false} {
		same(t, "dropped", existed, must[bool](t)(t.DropDeadLetter(t.Context(), got[0].ID)))
	}
	if removed, _ := t.prune(store.PruneDeadLetters, at(2.001), 10); removed != 2 {
		t.Errorf("removed %d, want 2", removed)
	}
	same(t, "number after pruning", 2, len(t.deadLetters(0, 10)))
}

func kvKey(name string) store.KVKey { return store.KVKey{Channel: movies, Plugin: "p", Key: name} }

func (t storeTest) remove(key store.KVKey, n float64) (existed bool) {
	t.Helper()
	return must[bool](t)(t.KVDelete(t.Context(), key, nil, at(n)))
}

func keyValue(t storeTest) {
	key := kvKey("k")
	same(t, "no value", "-", t.get(key, 1))
	t.set(key, `{"a":[1,null,"ü"]}`, 1, 0)
	same(t, "value", `{"a":[1,null,"ü"]}`, t.get(key, 2))
	t.set(key, `null`, 3, 0)
	same(t, "replaced value", "null", t.get(key, 4))
	same(t, "another spelling of the channel", "null",
		t.get(store.KVKey{Channel: store.Channel{Server: movies.Server, Name: "MOVIES"}, Plugin: "p", Key: "k"}, 4))
	for _, different := range []store.KVKey{
		kvKey("K"), kvKey(""), {Channel: movies, Plugin: "P", Key: "k"}, {Channel: music, Plugin: "p", Key: "k"},
	} {
		same(t, fmt.Sprintf("%+v", different), "-", t.get(different, 4))
		same(t, fmt.Sprintf("deleted %+v", different), false, t.remove(different, 4))
	}
	same(t, "deleted", true, t.remove(key, 5))
	same(t, "deleted again", false, t.remove(key, 5))
	same(t, "value after it was deleted", "-", t.get(key, 6))
}

func keyValueExpiry(t storeTest) {
	key := kvKey("k")
	t.set(key, "1", 0, 10)
	same(t, "before it expires", "1", t.get(key, 9.999))
	same(t, "when it expires", "-", t.get(key, 10))
	same(t, "deleted when it expires", false, t.remove(key, 10))
	t.set(key, "2", 11, 0)
	same(t, "a new value without expiry", "2", t.get(key, 1e6))
	t.set(key, "3", 12, 20)
	t.set(kvKey("l"), "4", 12, 21)
	if removed, _ := t.prune(store.PruneKV, at(20), 10); removed != 1 {
		t.Errorf("removed %d, want 1", removed)
	}
	same(t, "a pruned key, for a clock that is behind", "-", t.get(key, 15))
	same(t, "the other key", "4", t.get(kvKey("l"), 20.5))
}

func keyValueList(t storeTest) {
	for _, name := range []string{"a_b", "a%b", "aXb", "A", "b", "", "ä", "a", "ab\U0001F3AC"} {
		t.set(kvKey(name), "1", 0, 0)
	}
	t.set(kvKey("a-expired"), "1", 0, 5)
	t.set(store.KVKey{Channel: movies, Plugin: "other", Key: "a"}, "1", 0, 0)
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
		more   bool
	}{
		{"", 100, []string{"", "A", "a", "a%b", "aXb", "a_b", "ab\U0001F3AC", "b", "ä"}, false},
		{"a", 100, []string{"a", "a%b", "aXb", "a_b", "ab\U0001F3AC"}, false},
		{"a", 5, []string{"a", "a%b", "aXb", "a_b", "ab\U0001F3AC"}, false},
		{"a", 4, []string{"a", "a%b", "aXb", "a_b"}, true},
		{"a_", 100, []string{"a_b"}, false},
		{"a%", 100, []string{"a%b"}, false},
		{"%", 100, []string{}, false},
		{"zz", 100, []string{}, false},
		{"a", 0, []string{}, true},
		{"a", -1, []string{}, true},
		{"zz", 0, []string{}, false},
	} {
		keys, more := t.keys(store.KVQuery{KVKey: kvKey(test.prefix), Limit: test.limit, Now: at(5)})
		what := fmt.Sprintf("prefix %q, limit %d", test.prefix, test.limit)
		same(t, what, test.want, keys)
		same(t, what+": more", test.more, more)
	}
}

func expiredRows(t storeTest) {
	t.apply(chatLine(1, "alice", "hi"), chatLine(3, "alice", "hi"), event(1, store.UserCount{Chat: 1}))
	t.apply(in(music, []store.Event{chatLine(2, "alice", "music")})...)
	t.reportSent(t.enqueue(movies, 1, "said"), 1)
	t.enqueue(movies, 1, "queued")
	for _, test := range []struct {
		kind     store.RowKind
		servedBy string
		want     int64
	}{
		{store.PruneChat, "", 2}, {store.PruneUserCounts, "", 1}, {store.PruneOutbound, "", 1}, {store.PruneKV, "", 0},
		{store.PruneChat, store.NoService, 2}, // nobody has served them
		{store.PruneUserCounts, "rosey", 1},
	} {
		rule := store.PruneRule{Kind: test.kind, Before: at(3), ServedBy: test.servedBy}
		same(t, string(test.kind), test.want, must[int64](t)(t.Expired(t.Context(), rule)))
	}
	expired := must[int64](t)(t.Expired(t.Context(), store.PruneRule{Kind: store.PrunePeople, Before: at(3)}))
	users := must[int](t)(t.CountUsers(t.Context(), movies)) + must[int](t)(t.CountUsers(t.Context(), music))
	t.prune(store.PrunePeople, at(3), 10)
	users -= must[int](t)(t.CountUsers(t.Context(), movies)) + must[int](t)(t.CountUsers(t.Context(), music))
	same(t, "people", int64(users), expired)
}

func removals(t storeTest) {
	chat := store.Removal{Kind: store.PruneChat, ServedBy: "rosey", Kept: 90 * time.Minute, AnnouncedAt: at(1)}
	people, others := chat, chat
	people.Kind, others.ServedBy = store.PrunePeople, "other"
	announce := func(all ...store.Removal) {
		t.Helper()
		for _, one := range all {
			if err := t.AnnounceRemoval(t.Context(), one); err != nil {
				t.Error(err)
			}
		}
	}
	announced := func() []store.Removal { return must[[]store.Removal](t)(t.Removals(t.Context(), "rosey")) }
	same(t, "announced in the beginning", 0, len(announced()))
	announce(chat, people, others)
	same(t, "announced", []store.Removal{chat, people}, announced())
	chat.Kept, chat.AnnouncedAt = time.Hour, at(2)
	announce(chat)
	same(t, "announced anew", []store.Removal{chat, people}, announced())
	for range 2 { // the second time there is none
		if err := t.ForgetRemoval(t.Context(), people.Kind, "rosey"); err != nil {
			t.Error(err)
		}
	}
	same(t, "not forgotten", []store.Removal{chat}, announced())
}
