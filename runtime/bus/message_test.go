package bus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

func TestMsgIDAndBack(t *testing.T) {
	id := bus.MsgID("abc/def", bus.UserJoined)
	if got := bus.EventID(id, bus.UserJoined); got != "abc/def" {
		t.Errorf("EventID = %q", got)
	}
	if got := bus.EventID(id, bus.StatsHighWater); got != "" {
		t.Errorf("EventID for another subject = %q, want none", got)
	}
	if got := bus.EventID("", bus.UserJoined); got != "" {
		t.Errorf("EventID of nothing = %q", got)
	}
}

func TestChatLineIDIsMadeFromTheLine(t *testing.T) {
	at := time.UnixMilli(1763700000123)
	id := bus.ChatLineID("https://cytu.be", "Movies", "alice", at, "chat", "hi", 0)
	if again := bus.ChatLineID("https://CYTU.be", "movies", "alice", at, "chat", "hi", 0); again != id {
		t.Errorf("the same line got %q and %q", id, again)
	}
	others := []string{
		bus.ChatLineID("https://cytu.be", "movies", "alice", at.Add(time.Millisecond), "chat", "hi", 0),
		bus.ChatLineID("https://cytu.be", "movies", "Alice", at, "chat", "hi", 0),
		bus.ChatLineID("https://cytu.be", "movies", "alice", at, "action", "hi", 0),
		bus.ChatLineID("https://cytu.be", "movies", "alice", at, "chat", "hi ", 0),
		bus.ChatLineID("https://cytu.be", "other", "alice", at, "chat", "hi", 0),
		bus.ChatLineID("https://other", "movies", "alice", at, "chat", "hi", 0),
		bus.ChatLineID("https://cytu.be", "movies", "alic", at, "echat", "hi", 0),
		bus.ChatLineID("https://cytu.be", "movies", "alice", at, "chat", "hi", 1),
		bus.ChatLineID("https://cytu.be", "movies", "alice", at, "chat", "hi", 2),
	}
	slices.Sort(others)
	if slices.Contains(others, id) || len(slices.Compact(others)) != 9 {
		t.Errorf("different lines share an id: %q and %q", id, others)
	}
	if early := bus.ChatLineID("s", "c", "z", at.Add(-time.Hour), "chat", "z", 0); early >= id {
		t.Errorf("an earlier line's id %q does not sort before %q", early, id)
	}
}

// TestASlotHasOneIDForEveryBot: of two bots that both sample the users in a slot, as when one has not noticed that
// another leads, the database keeps one sample.
func TestASlotHasOneIDForEveryBot(t *testing.T) {
	slot := time.UnixMilli(1763700000000)
	channel := bus.Origin{Server: "https://cytu.be", Channel: "movies"}
	id := bus.UserCountID(channel, slot)
	if again := bus.UserCountID(bus.Origin{Server: "https://CYTU.be", Channel: "Movies"}, slot); again != id {
		t.Errorf("one slot has the IDs %s and %s", id, again)
	}
	for _, other := range []string{
		bus.UserCountID(channel, slot.Add(5*time.Minute)),
		bus.UserCountID(bus.Origin{Server: "https://cytu.be", Channel: "other"}, slot),
		bus.UserCountID(bus.Origin{Server: "https://other", Channel: "movies"}, slot),
	} {
		if other == id {
			t.Errorf("two samples share the ID %s", id)
		}
	}
}

func TestIDsSortByTimeThenProcessThenOrder(t *testing.T) {
	start := time.UnixMilli(1763700000000)
	first, second := bus.NewIDs(start), bus.NewIDs(start.Add(time.Second))
	at := start.Add(time.Hour)
	want := []string{first.Next(at.Add(-time.Millisecond))}
	for range 20 {
		want = append(want, first.Next(at))
	}
	want = append(want, second.Next(at), second.Next(at.Add(time.Millisecond)))
	if !slices.IsSortedFunc(want, strings.Compare) {
		t.Errorf("not sorted: %q", want)
	}
	if unique := slices.Compact(slices.Clone(want)); len(unique) != len(want) {
		t.Error("an id was made twice")
	}
	if a, b := bus.NewIDs(start).Next(at), bus.NewIDs(start).Next(at); a == b {
		t.Error("two processes that started in one millisecond made the same id")
	}
}
