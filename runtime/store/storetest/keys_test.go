package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"rosey.dev/rosey/runtime/store"
)

// put sets a key if it has a revision, and returns the new one.
func (t storeTest) put(name, value string, n float64, ifRevision *int64) (int64, error) {
	return t.KVSet(t.Context(), store.KVEntry{KVKey: kvKey(name), Value: value, At: at(n), IfRevision: ifRevision})
}

// add adds to a key, which expires if it is new; 0 means never.
func (t storeTest) add(name string, by int64, n, expires float64) (store.KVValue, error) {
	entry := store.KVEntry{KVKey: kvKey(name), At: at(n)}
	if expires != 0 {
		entry.Expires = at(expires)
	}
	return t.KVAdd(t.Context(), entry, by)
}

// keys returns the names of listed keys.
func (t storeTest) keys(query store.KVQuery) (names []string, more bool) {
	t.Helper()
	rows, more, err := t.KVList(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	names = []string{}
	for _, row := range rows {
		names = append(names, row.Key)
	}
	return names, more
}

// conflicts fails the test unless err is a KVConflictError with the revision of the key.
func (t storeTest) conflicts(what string, err error, revision, expected int64) {
	t.Helper()
	conflict, ok := errors.AsType[*store.KVConflictError](err)
	if !ok {
		t.Errorf("%s: %v, want a KVConflictError", what, err)
		return
	}
	same(t, what, store.KVConflictError{Revision: revision, Expected: expected}, *conflict)
}

// keyValueRevisions has a clock that stands still and goes back: no revision comes twice.
func keyValueRevisions(t storeTest) {
	var last int64
	for i, step := range []struct {
		n      float64
		name   string
		remove bool
	}{
		{1, "k", false}, {1, "k", false}, {1, "other", false}, {0, "k", false}, {0, "k", true}, {-1000, "k", false},
		{2, "k", false},
	} {
		if step.remove {
			same(t, "removed", true, t.remove(kvKey(step.name), step.n))
			continue
		}
		revision := must[int64](t)(t.put(step.name, "1", step.n, nil))
		if revision <= last || revision >= 1<<53 {
			t.Errorf("step %d: revision %d after %d", i, revision, last)
		}
		last = revision
		same(t, "the revision that is read", store.KVValue{Value: "1", Revision: revision}, t.value(kvKey(step.name), 3))
	}
	// A database that was restored from a backup has forgotten the revisions since, but the clock has gone on.
	if want := at(2).UnixMicro(); last < want {
		t.Errorf("revision %d, want at least the time, %d", last, want)
	}
	elsewhere := store.KVEntry{KVKey: store.KVKey{Channel: music, Plugin: "p", Key: "k"}, Value: "1", At: at(0)}
	same(t, "of another channel", at(0).UnixMicro(), must[int64](t)(t.KVSet(t.Context(), elsewhere)))
}

func keyValueCompareAndSet(t storeTest) {
	ctx, none := t.Context(), new(int64)
	_, err := t.put("k", "1", 0, new(int64(7)))
	t.conflicts("a key that does not exist", err, 0, 7)
	same(t, "after the conflict", "-", t.get(kvKey("k"), 0))
	first := must[int64](t)(t.put("k", "1", 0, none))
	_, err = t.put("k", "2", 0, none)
	t.conflicts("a key that exists, for one that must not", err, first, 0)
	second := must[int64](t)(t.put("k", "2", 0, &first))
	_, err = t.put("k", "3", 0, &first)
	t.conflicts("an old revision", err, second, first)
	same(t, "after the conflicts", "2", t.get(kvKey("k"), 0))

	_, err = t.KVDelete(ctx, kvKey("k"), &first, at(1))
	t.conflicts("deleting an old revision", err, second, first)
	_, err = t.KVDelete(ctx, kvKey("k"), none, at(1))
	t.conflicts("deleting what must not exist", err, second, 0)
	same(t, "deleted", true, must[bool](t)(t.KVDelete(ctx, kvKey("k"), &second, at(1))))
	_, err = t.KVDelete(ctx, kvKey("k"), &second, at(1))
	t.conflicts("deleting it again", err, 0, second)
	same(t, "deleting what does not exist", false, must[bool](t)(t.KVDelete(ctx, kvKey("k"), none, at(1))))

	t.set(kvKey("brief"), "1", 0, 10)
	revision := t.value(kvKey("brief"), 9).Revision
	_, err = t.put("brief", "2", 10, &revision)
	t.conflicts("a key that has expired", err, 0, revision)
	_, err = t.KVDelete(ctx, kvKey("brief"), &revision, at(10))
	t.conflicts("deleting a key that has expired", err, 0, revision)
	must[int64](t)(t.put("brief", "3", 10, none))
	same(t, "in place of the key that has expired", "3", t.get(kvKey("brief"), 1e6))
}

// keyValueCompareAndSetTogether has several writers count: none overwrites another's.
func keyValueCompareAndSetTogether(t storeTest) {
	const writers, each = 4, 10
	var running sync.WaitGroup
	var mu sync.Mutex
	revisions := map[int64]bool{}
	for range writers {
		running.Go(func() {
			for done := 0; done < each; {
				value := t.value(kvKey("k"), 1)
				count, _ := strconv.Atoi(value.Value) // 0 while there is none
				revision, err := t.put("k", strconv.Itoa(count+1), 1, &value.Revision)
				if _, conflict := errors.AsType[*store.KVConflictError](err); conflict {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				done++
				mu.Lock()
				revisions[revision] = true
				mu.Unlock()
			}
		})
	}
	running.Wait()
	same(t, "the count", strconv.Itoa(writers*each), t.get(kvKey("k"), 1))
	same(t, "revisions", writers*each, len(revisions))
}

func keyValueAdd(t storeTest) {
	first := must[store.KVValue](t)(t.add("n", 5, 0, 0))
	same(t, "the first", "5", first.Value)
	second := must[store.KVValue](t)(t.add("n", -7, 0, 0))
	same(t, "less", "-2", second.Value)
	if second.Revision <= first.Revision {
		t.Errorf("revision %d after %d", second.Revision, first.Revision)
	}
	same(t, "as it is read", second, t.value(kvKey("n"), 1))

	for value, want := range map[string]error{
		"1.5": store.ErrNotWhole, `"7"`: store.ErrNotWhole, "null": store.ErrNotWhole, "1e3": store.ErrNotWhole,
		"[1]": store.ErrNotWhole, strings.Repeat("9", 25): store.ErrNotWhole, "9223372036854775808": store.ErrNotWhole,
		strconv.Itoa(math.MaxInt64):     store.ErrOverflow,
		strconv.Itoa(math.MaxInt64 - 1): nil, strconv.Itoa(math.MinInt64): nil, "-0": nil,
	} {
		t.set(kvKey("n"), value, 1, 0)
		if _, err := t.add("n", 1, 2, 0); !errors.Is(err, want) {
			t.Errorf("1 to %s: %v, want %v", value, err, want)
		}
		if want != nil {
			same(t, "after the error", value, t.get(kvKey("n"), 2))
		}
	}
	t.set(kvKey("n"), strconv.Itoa(math.MinInt64), 3, 0)
	for _, by := range []int64{-1, math.MinInt64} {
		if _, err := t.add("n", by, 3, 0); !errors.Is(err, store.ErrOverflow) {
			t.Errorf("%d to the least: %v", by, err)
		}
	}

	// What is counted by the minute begins anew when the minute is over, and not when somebody counts.
	for i, step := range []struct {
		n    float64
		want string
	}{{0, "1"}, {50, "2"}, {59, "3"}, {60, "1"}, {119, "2"}, {121, "1"}} {
		same(t, fmt.Sprint("by the minute, step ", i), step.want,
			must[store.KVValue](t)(t.add("minute", 1, step.n, step.n+60)).Value)
	}
	same(t, "a key that never expires stays", "1", must[store.KVValue](t)(t.add("for ever", 1, 0, 0)).Value)
	same(t, "with a time", "2", must[store.KVValue](t)(t.add("for ever", 1, 1, 2)).Value)
	same(t, "later", "2", t.get(kvKey("for ever"), 1e6))
}

func keyValueAddTogether(t storeTest) {
	const writers, each = 4, 25
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range each {
				if _, err := t.add("n", 1, 1, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	same(t, "the sum", strconv.Itoa(writers*each), t.get(kvKey("n"), 1))
}

func keyValueAddQuota(t storeTest) {
	entry := store.KVEntry{KVKey: kvKey("n"), At: at(0), Quota: store.KVQuota{Keys: 1, Bytes: overhead + len("pn99")}}
	same(t, "the first", "99", must[store.KVValue](t)(t.KVAdd(t.Context(), entry, 99)).Value)
	_, err := t.KVAdd(t.Context(), entry, 1)
	t.exceeds("a longer number", err, "kvBytes", overhead+int64(len("pn100")), overhead+int64(len("pn99")))
	entry.Key = "m"
	_, err = t.KVAdd(t.Context(), entry, 1)
	t.exceeds("a second key", err, "kvKeys", 2, 1)
	same(t, "after the errors", "99", t.get(kvKey("n"), 1))
}

// keyValuePages reads keys page by page, with values that do not all fit.
func keyValuePages(t storeTest) {
	want := map[string]string{}
	for i := range 25 {
		name := fmt.Sprintf("a%02d", i)
		want[name] = strconv.Quote(strings.Repeat("x", 100+i))
		t.set(kvKey(name), want[name], 0, 0)
	}
	t.set(kvKey("a10gone"), "1", 0, 5)
	t.set(kvKey("b"), "1", 0, 0)
	t.set(kvKey("A"), "1", 0, 0)
	query := store.KVQuery{KVKey: kvKey("a"), Limit: 7, Values: true, MaxBytes: 500, Now: at(5)}
	got, pages := map[string]string{}, 0
	for more := true; more; pages++ {
		var rows []store.KVRow
		var err error
		if rows, more, err = t.KVList(t.Context(), query); err != nil || len(rows) == 0 {
			t.Fatalf("page %d: %v, %v", pages, rows, err)
		}
		size := 0
		for _, row := range rows {
			size += len(row.Key) + len(row.Value)
			got[row.Key] = row.Value
			same(t, row.Key, t.value(kvKey(row.Key), 5), row.KVValue)
		}
		if size > query.MaxBytes {
			t.Errorf("page %d has %d bytes", pages, size)
		}
		query.After = rows[len(rows)-1].Key
	}
	same(t, "all", want, got)
	if pages < 6 {
		t.Errorf("%d pages, so values were not bounded", pages)
	}
	query.After, query.MaxBytes = "", 1
	rows, more, err := t.KVList(t.Context(), query)
	if err != nil || len(rows) != 1 || !more || rows[0].Value != want["a00"] {
		t.Errorf("a value that is larger than all may be: %v, %v, %v", rows, more, err)
	}
	for _, test := range []struct {
		prefix, after string
		want          []string
	}{
		{"a", "", slices.Sorted(maps.Keys(want))}, {"a", "A", slices.Sorted(maps.Keys(want))},
		{"a", "a22", []string{"a23", "a24"}}, {"a", "a22x", []string{"a23", "a24"}},
		{"a2", "a1", []string{"a20", "a21", "a22", "a23", "a24"}},
		{"a", "a24", []string{}}, {"a", "b", []string{}}, {"", "a24", []string{"b"}}, {"", "b", []string{}},
		{"a", "a2\x00", []string{}}, // a NUL is stored as U+FFFD
	} {
		names, more := t.keys(store.KVQuery{KVKey: kvKey(test.prefix), After: test.after, Limit: 100, Now: at(5)})
		what := fmt.Sprintf("prefix %q after %q", test.prefix, test.after)
		same(t, what, test.want, names)
		same(t, what+": more", false, more)
	}
}
