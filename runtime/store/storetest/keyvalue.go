package storetest

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func key(name string) store.KVKey { return store.KVKey{Channel: movies, Plugin: "p", Key: name} }

// set keeps a value until a moment; 0 is for ever.
func set(t *testing.T, s store.Store, key store.KVKey, value string, at, until float64) {
	t.Helper()
	entry := store.KVEntry{KVKey: key, Value: value, At: clock(at)}
	if until != 0 {
		entry.Expires = clock(until)
	}
	if err := s.KVSet(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
}

// get answers "-" for a value that is not there.
func get(t *testing.T, s store.Store, key store.KVKey, at float64) string {
	t.Helper()
	value, exists, err := s.KVGet(t.Context(), key, clock(at))
	if err != nil {
		t.Fatal(err)
	}
	if !exists {
		return "-" + value
	}
	return value
}

func keyValue(t *testing.T, s store.Store) {
	same(t, "nothing there", "-", get(t, s, key("k"), 1))
	set(t, s, key("k"), `{"a":[1,null,"ü"]}`, 1, 0)
	same(t, "as it was set", `{"a":[1,null,"ü"]}`, get(t, s, key("k"), 2))
	set(t, s, key("k"), `null`, 3, 0)
	same(t, "replaced", "null", get(t, s, key("k"), 4))
	elsewhere, shouted := key("k"), key("k")
	elsewhere.Channel.Name = "Music"
	shouted.Channel.Name = "MOVIES"
	same(t, "the channel's other spelling", "null", get(t, s, shouted, 4))
	for _, other := range []store.KVKey{key("K"), key(""), {Channel: movies, Plugin: "P", Key: "k"}, elsewhere} {
		same(t, fmt.Sprintf("%+v", other), "-", get(t, s, other, 4))
		same(t, "nothing to delete", false, must[bool](t)(s.KVDelete(t.Context(), other, clock(4))))
	}
	same(t, "deleted", true, must[bool](t)(s.KVDelete(t.Context(), key("k"), clock(5))))
	same(t, "deleted again", false, must[bool](t)(s.KVDelete(t.Context(), key("k"), clock(5))))
	same(t, "gone", "-", get(t, s, key("k"), 6))
}

func keyValueExpiry(t *testing.T, s store.Store) {
	set(t, s, key("k"), "1", 0, 10)
	same(t, "before", "1", get(t, s, key("k"), 9.999))
	same(t, "from the moment on", "-", get(t, s, key("k"), 10))
	same(t, "nothing to delete any more", false, must[bool](t)(s.KVDelete(t.Context(), key("k"), clock(10))))
	set(t, s, key("k"), "2", 11, 0)
	same(t, "a new value has a new expiry", "2", get(t, s, key("k"), 1e6))
	set(t, s, key("k"), "3", 12, 20)
	set(t, s, key("l"), "4", 12, 21)
	same(t, "removed", 1, must[int64](t)(s.Prune(t.Context(), store.PruneRule{
		Kind: store.PruneKV, Before: clock(20),
	}, 10)))
	same(t, "not for those who think it is earlier", "-", get(t, s, key("k"), 15))
	same(t, "what is left", "4", get(t, s, key("l"), 20.5))
}

func keyValueList(t *testing.T, s store.Store) {
	for _, name := range []string{"a_b", "a%b", "aXb", "A", "b", "", "ä", "a", "ab\U0001F3AC"} {
		set(t, s, key(name), "1", 0, 0)
	}
	set(t, s, key("a-gone"), "1", 0, 5)
	set(t, s, store.KVKey{Channel: movies, Plugin: "other", Key: "a"}, "1", 0, 0)
	list := func(prefix string, limit int) []string {
		keys, more, err := s.KVList(t.Context(), key(prefix), limit, clock(5))
		if err != nil {
			t.Fatal(err)
		}
		if keys == nil {
			t.Error("no keys are nil, want them empty")
		}
		if more {
			keys = append(keys, "…")
		}
		return keys
	}
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"", 100, []string{"", "A", "a", "a%b", "aXb", "a_b", "ab\U0001F3AC", "b", "ä"}},
		{"a", 100, []string{"a", "a%b", "aXb", "a_b", "ab\U0001F3AC"}},
		{"a", 5, []string{"a", "a%b", "aXb", "a_b", "ab\U0001F3AC"}},
		{"a", 4, []string{"a", "a%b", "aXb", "a_b", "…"}},
		{"a_", 100, []string{"a_b"}},
		{"a%", 100, []string{"a%b"}},
		{"%", 100, []string{}},
		{"zz", 100, []string{}},
		{"a", 0, []string{"…"}},
		{"a", -1, []string{"…"}},
		{"zz", 0, []string{}},
	} {
		same(t, fmt.Sprintf("prefix %q, limit %d", test.prefix, test.limit), test.want, list(test.prefix, test.limit))
	}
}

// pruneAll removes what a rule is about in steps of limit and answers how many steps that took.
func pruneAll(t *testing.T, s store.Store, kind store.RowKind, before time.Time, limit int) (removed, steps int64) {
	t.Helper()
	for {
		n := must[int64](t)(s.Prune(t.Context(), store.PruneRule{Kind: kind, Before: before}, limit))
		if n == 0 {
			return removed, steps
		}
		removed += n
		steps++
	}
}
