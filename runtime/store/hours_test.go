package store_test

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// TestZonesWithHalfHoursAreWrongByHalfAnHourAtMost is about counts by whole hours of UTC.
func TestZonesWithHalfHoursAreWrongByHalfAnHourAtMost(t *testing.T) {
	t.Parallel()
	for minutes, want := range map[int]int{
		0: 0, 60: 1, -60: -1, 840: 14, -720: -12, // whole hours
		330: 5, 30: 0, -210: -4, -570: -10, // India, Newfoundland, the Marquesas: the first half
		345: 6, 765: 13, -15: 0, // Nepal, Chatham
	} {
		if got := store.WholeHours(time.Duration(minutes) * time.Minute); got != time.Duration(want)*time.Hour {
			t.Errorf("%d minutes ahead: %v, want %d h", minutes, got, want)
		}
	}
}

func TestTheBusiestDayBeginsAtMidnightOfTheZone(t *testing.T) {
	t.Parallel()
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	hours := []store.HourCount{{At: at(1, 17), Lines: 2}, {At: at(1, 18), Lines: 3}, {At: at(1, 19), Lines: 2}}
	for _, test := range []struct {
		minutes int
		want    store.HourCount
	}{
		{0, store.HourCount{At: at(1, 0), Lines: 7}},
		{330, store.HourCount{At: at(1, 0).Add(-330 * time.Minute), Lines: 5}}, // the hour of midnight is half of each
		{345, store.HourCount{At: at(2, 0).Add(-345 * time.Minute), Lines: 5}},
		{-19 * 60, store.HourCount{At: at(0, 19), Lines: 5}},
	} {
		day, found := store.BusiestDay(hours, time.Duration(test.minutes)*time.Minute)
		if !found || !day.At.Equal(test.want.At) || day.Lines != test.want.Lines {
			t.Errorf("%d minutes ahead: %v, want %v", test.minutes, day, test.want)
		}
	}
	if day, found := store.BusiestDay(nil, 0); found {
		t.Errorf("no lines: %v", day)
	}
}
