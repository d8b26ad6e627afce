package database

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

func TestDedupWindow(t *testing.T) {
	r := newDedupWindow()
	began := time.UnixMilli(1763700000000)
	for i, step := range []struct {
		ms     int
		suffix bus.Suffix
		data   string
		want   bool
	}{
		{0, bus.MessageLog, "a", false},
		{1, bus.MessageLog, "b", false},
		{2, bus.MessageLog, "a", true},
		{3, bus.StatsHighWater, "a", false},
		{20, bus.MessageLog, "a", false}, // said again
		{99, bus.MessageLog, "a", true},
		{100, bus.MessageLog, "a", false},
		{100, bus.MessageLog, "a", true},
		{120, bus.MessageLog, "a", false},
		{220, bus.MessageLog, "a", false}, // too late for a second copy
		{300, bus.UserLeft, "a", false},
		{301, bus.UserJoined, "a", false},
		{302, bus.UserLeft, "a", false},
		{303, bus.UserLeft, "a", true},
		{304, bus.UserJoined, "b", false},
		{402, bus.UserLeft, "a", false},
		{403, bus.UserLeft, "a", true},
	} {
		got := r.repeated(step.suffix, []byte(step.data), began.Add(time.Duration(step.ms)*time.Millisecond))
		if got != step.want {
			t.Errorf("step %d, %+v: repeated %v", i, step, got)
		}
	}
}

func TestDedupWindowForgets(t *testing.T) {
	r := newDedupWindow()
	began := time.UnixMilli(1763700000000)
	for i := range 10_000 {
		r.repeated(bus.MessageLog, fmt.Appendf(nil, "%d", i), began.Add(time.Duration(i)*time.Millisecond))
	}
	for i := range 10_000 { // the same all the time
		r.repeated(bus.MessageLog, []byte("again"), began.Add(time.Minute+time.Duration(i)*time.Millisecond))
	}
	if len(r.seen) > 101 || len(r.order) > 101 {
		t.Errorf("%d and %d messages in the window, want those of the last 100 ms", len(r.seen), len(r.order))
	}
}
