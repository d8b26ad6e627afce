package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// overhead is what a row counts beside its texts.
const overhead = config.RowOverhead

// exceeds fails the test unless err is a QuotaError for a limit.
func (t storeTest) exceeds(what string, err error, limit string, needed, allowed int64) {
	t.Helper()
	quota, ok := errors.AsType[*store.QuotaError](err)
	if !ok {
		t.Errorf("%s: %v, want a QuotaError", what, err)
		return
	}
	same(t, what, store.QuotaError{Limit: limit, Needed: needed, Allowed: allowed}, *quota)
}

func (t storeTest) setWithin(plugin, key, value string, n float64, quota store.KVQuota) error {
	t.Helper()
	entry := store.KVEntry{KVKey: kvKey(key), Value: value, At: at(n), Quota: quota}
	entry.Plugin = plugin
	_, err := t.KVSet(t.Context(), entry)
	return err
}

func (t storeTest) usage() store.ChannelUsage {
	t.Helper()
	used := must[store.Usage](t)(t.Usage(t.Context(), []store.Channel{movies}, "")).Channels
	if len(used) != 1 {
		t.Fatalf("usage of %d channels, want 1", len(used))
	}
	return used[0]
}

func keyValueQuota(t storeTest) {
	quota := store.KVQuota{Keys: 2, Bytes: 3*overhead + 20}
	for _, name := range []string{"a", "b"} {
		if err := t.setWithin("p", name, "1234", 0, quota); err != nil {
			t.Fatal(err)
		}
	}
	t.exceeds("a third key", t.setWithin("p", "c", "1", 0, quota), "kvKeys", 3, 2)
	same(t, "the refused key", "-", t.get(kvKey("c"), 1))
	if err := t.setWithin("q", "c", "1", 0, quota); err != nil {
		t.Errorf("a key of another plugin: %v", err)
	}
	long := strings.Repeat("x", 200)
	t.exceeds("a long value", t.setWithin("p", "a", long, 0, quota), "kvBytes",
		2*overhead+int64(len("pa"+"pb1234"+long)), int64(quota.Bytes))
	same(t, "the value before it", "1234", t.get(kvKey("a"), 1))

	// Who is above a quota that was lowered may still replace and remove.
	lower := store.KVQuota{Keys: 1, Bytes: 1, Plugins: 1, ChannelBytes: 1}
	if err := t.setWithin("p", "a", "12", 0, lower); err != nil {
		t.Errorf("a shorter value above the quota: %v", err)
	}
	t.exceeds("a longer value", t.setWithin("p", "a", "123", 0, lower), "kvBytes",
		2*overhead+int64(len("pa123"+"pb1234")), 1)
	same(t, "removed", true, t.remove(kvKey("b"), 1))
	if err := t.setWithin("p", "c", "1", 0, quota); err != nil {
		t.Errorf("a key in place of a removed one: %v", err)
	}
}

// An expired key that maintenance has not removed yet leaves its place.
func keyValueChannelQuota(t storeTest) {
	quota := store.KVQuota{Plugins: 2, ChannelBytes: 4 * overhead}
	for _, plugin := range []string{"p", "q"} {
		if err := t.setWithin(plugin, "k", "1", 0, quota); err != nil {
			t.Fatal(err)
		}
	}
	t.exceeds("a third plugin", t.setWithin("r", "k", "1", 0, quota), "kvPlugins", 3, 2)
	long := strings.Repeat("x", 300)
	t.exceeds("a long value", t.setWithin("q", "k", long, 0, quota), "kvChannelBytes",
		2*overhead+int64(len("pk1"+"qk"+long)), int64(quota.ChannelBytes))
	same(t, "removed", true, t.remove(kvKey("k"), 1))
	if err := t.setWithin("r", "k", "1", 0, quota); err != nil {
		t.Errorf("a plugin in place of one without keys: %v", err)
	}

	t.set(kvKey("brief"), "1", 0, 10)
	one := store.KVQuota{Keys: 1}
	t.exceeds("before the key expires", t.setWithin("p", "next", "1", 9, one), "kvKeys", 2, 1)
	if err := t.setWithin("p", "next", "1", 10, one); err != nil {
		t.Errorf("when the key has expired: %v", err)
	}
	same(t, "keys", []store.PluginUsage{
		{Plugin: "p", Keys: 1, Bytes: overhead + int64(len("pnext1"))},
		{Plugin: "q", Keys: 1, Bytes: overhead + int64(len("qk1"))},
		{Plugin: "r", Keys: 1, Bytes: overhead + int64(len("rk1"))},
	}, t.usage().Plugins)
}

// keyValueQuotaIsExact has several writers, and compares the count of keys with the keys.
func keyValueQuotaIsExact(t storeTest) {
	const writers, keys = 4, 15
	quota := store.KVQuota{Keys: keys, Bytes: 1 << 20, Plugins: 9, ChannelBytes: 1 << 20}
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range 60 {
				name, value := fmt.Sprint(rand.IntN(2*keys)), strings.Repeat("x", rand.IntN(50))
				err := t.setWithin("p", name, value, 0, quota)
				if _, full := errors.AsType[*store.QuotaError](err); err != nil && !full {
					t.Error(err)
				}
				if rand.IntN(3) == 0 {
					t.remove(kvKey(fmt.Sprint(rand.IntN(2*keys))), 1)
				}
				if rand.IntN(5) == 0 {
					t.set(kvKey(fmt.Sprint("brief", rand.IntN(3))), value, 0, 10)
				}
				if rand.IntN(20) == 0 {
					must[int64](t)(t.Prune(t.Context(), store.PruneRule{Kind: store.PruneKV, Before: at(20)}, 2))
				}
			}
		})
	}
	running.Wait()
	t.prune(store.PruneKV, at(20), 100)
	counted := t.usage().Plugins
	if len(counted) != 1 || counted[0].Keys > keys {
		t.Errorf("stored %+v, want at most %d keys", counted, keys)
	}
	if err := t.RecountKV(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "counted anew", counted, t.usage().Plugins)
}

func deadLetterQuota(t storeTest) {
	add := func(quota store.DeadLetterQuota, letters ...store.DeadLetter) int64 {
		return must[int64](t)(t.AddDeadLetters(t.Context(), letters, quota))
	}
	reasons := func() (reasons []string) {
		for _, letter := range t.deadLetters(0, unlimited) {
			reasons = append(reasons, letter.Reason)
		}
		return reasons
	}
	letter := func(reason string, size int) store.DeadLetter {
		return store.NewDeadLetter("s", "", reason, make([]byte, size), at(10))
	}
	var many []store.DeadLetter
	for i := range 6 {
		many = append(many, letter(fmt.Sprint(i), 0))
	}
	same(t, "removed", 2, add(store.DeadLetterQuota{Rows: 4}, many...))
	same(t, "the newest", []string{"2", "3", "4", "5"}, reasons())
	quota := store.DeadLetterQuota{Bytes: 2000 + 4*(overhead+2)}
	same(t, "removed", 1, add(quota, letter("6", 2000)))
	same(t, "within the size", []string{"3", "4", "5", "6"}, reasons())
	same(t, "removed", 4, add(quota, letter("7", 2200)))
	same(t, "the newest alone", []string{"7"}, reasons())
	long := store.NewDeadLetter("s", strings.Repeat("i", 1<<20), strings.Repeat("r", 1<<20), nil, at(11))
	if len(long.MsgID) > 100 || len(long.Reason) > 1<<10 {
		t.Errorf("an ID of %d and a reason of %d bytes", len(long.MsgID), len(long.Reason))
	}
	add(store.DeadLetterQuota{}, long, long)
	same(t, "a repeated dead letter with a long ID", 2, len(reasons()))
}

func outboundQuota(t storeTest) {
	put := func(clientID string) (int64, error) {
		line := store.OutboundLine{Text: "hi", ClientID: clientID, At: at(0), MaxWaiting: 2}
		return t.Enqueue(t.Context(), movies, line)
	}
	first, second := must[int64](t)(put("a")), must[int64](t)(put(""))
	_, err := put("b")
	t.exceeds("a third message", err, "outboundWaiting", 3, 2)
	same(t, "a repeated request", first, must[int64](t)(put("a")))
	same(t, "messages", []string{"hi", "hi"}, t.claimTexts("", 1, unlimited))
	t.reportSent(first, 1)
	must[int64](t)(put("c"))
	_, err = put("d")
	t.exceeds("a third message that waits", err, "outboundWaiting", 3, 2)
	t.reportFailed(1, store.OutboundFailed{ID: second, Permanent: true})
	must[int64](t)(put("d"))
	must[int64](t)(t.Enqueue(t.Context(), music, store.OutboundLine{Text: "hi", At: at(0), MaxWaiting: 1}))
}

// outboundWithin checks that a message that does not fit into a reply is not claimed: it would wait for nothing.
func outboundWithin(t storeTest) {
	for i := range 4 {
		t.enqueue(movies, float64(i), strings.Repeat(fmt.Sprint(i), 100))
	}
	query := store.OutboundQuery{Limit: 10, MaxRetries: 3, MaxBytes: 250, Claimant: "a", Now: at(10)}
	same(t, "messages", 2, len(t.outbound(movies, query)))
	query.Claimant = "b"
	same(t, "what was left", 2, len(t.outbound(movies, query)))
	query = store.OutboundQuery{Limit: 10, MaxRetries: 3, MaxBytes: 1, Claimant: "c", Now: at(1000)}
	same(t, "a message that is larger than all may be", 1, len(t.outbound(movies, query)))

	id := t.enqueue(movies, 0, "fails")
	t.reportFailed(1, store.OutboundFailed{ID: id, Error: strings.Repeat("ü", 5000)})
	for _, message := range t.outbound(movies, store.OutboundQuery{Limit: 9, MaxRetries: 3, Now: at(2000)}) {
		if len(message.LastError) > 1<<10 {
			t.Errorf("an error of %d bytes", len(message.LastError))
		}
	}
}

// recentChatWithin has lines that are longer than any limit, from before there were limits.
func recentChatWithin(t storeTest) {
	huge := strings.Repeat("🎬", 300_000)
	for i := range 5 {
		t.apply(chatLine(float64(i), "alice", fmt.Sprint(i)+strings.Repeat("x", 99)))
	}
	t.apply(store.Event{ID: "huge", Channel: movies, At: at(10), Fact: store.ChatLine{Username: "bob", Text: huge}})
	within := func(limit, size int) (texts []string) {
		t.Helper()
		for _, line := range must[[]store.RecentLine](t)(t.RecentChatWithin(t.Context(), movies, limit, size)) {
			if len(line.Text) > config.MaxTextBytes+len("…") {
				t.Errorf("a text of %d bytes", len(line.Text))
			}
			texts = append(texts, line.Text[:1])
		}
		return texts
	}
	same(t, "all", 6, len(within(10, 1<<20)))
	same(t, "by number", 2, len(within(2, 1<<20)))
	same(t, "by size", 3, len(within(10, config.MaxTextBytes+300)))
	same(t, "the newest alone", 1, len(within(10, 1)))
	same(t, "none", 0, len(within(0, 1<<20)))
	same(t, "cut in other replies too", config.MaxTextBytes+len("…"), len(t.recent(1)[0]))
}

func usage(t storeTest) {
	measured := []store.Channel{movies, other, music}
	same(t, "an empty store", store.Usage{}, must[store.Usage](t)(t.Usage(t.Context(), measured, "")))
	events := []store.Event{
		chatLine(1, "alice", "hello"), event(2, store.UserJoined{Username: "bob"}), event(3, store.UserCount{}),
		event(4, store.Action{Username: "mod", Type: "pm_command", Details: "x"}),
	}
	for i := range events {
		events[i].ID = fmt.Sprint("id", i)
	}
	t.apply(append(events, watching(5, 1))...)
	t.enqueue(movies, 1, "hi")
	t.reportSent(t.enqueue(movies, 1, "said"), 2)
	t.set(kvKey("k"), "123", 0, 0)
	t.apply(store.Event{ID: "id", Channel: music, At: at(1), Fact: store.ChatLine{Username: "alice"}})
	letter := store.NewDeadLetter("s", "i", "r", []byte("p"), at(1))
	t.addDeadLetters(letter)
	want := store.Usage{
		Channels: []store.ChannelUsage{
			{
				Channel: movies, Rows: 8,
				Bytes: 8*overhead + int64(len("alicehello"+"alice"+"bob"+"modpm_commandx"+"hisaid"+
					"id0id1id2id3id0id1id2id3")),
				People: 2, OutboundWaiting: 1,
				Plugins: []store.PluginUsage{{Plugin: "p", Keys: 1, Bytes: overhead + int64(len("pk123"))}},
			},
			{
				Channel: music, Rows: 2, Bytes: 2*overhead + int64(len("alice"+"alice"+"idid")), People: 1,
				Plugins: []store.PluginUsage{},
			},
		},
		DeadLetters: 1, DeadLetterBytes: overhead + int64(len("sirp")),
	}
	same(t, "usage", want, must[store.Usage](t)(t.Usage(t.Context(), measured, "")))
}

func knownUsers(t storeTest) {
	t.apply(chatLine(1, "Älice", "hi"))
	known := must[map[string]bool](t)(t.KnownUsers(t.Context(), movies, []string{"älice", "bob", "ÄLICE"}))
	same(t, "known", map[string]bool{"älice": true, "bob": false}, known)
	known = must[map[string]bool](t)(t.KnownUsers(t.Context(), music, []string{"älice"}))
	same(t, "in another channel", map[string]bool{"älice": false}, known)
}
