package store

import (
	"slices"
	"time"
)

// WholeHours returns by how much an hour of UTC is moved to be one of a zone that is ahead of UTC. Lines are counted by
// whole hours of UTC: in a zone with half hours, one is taken for the hour in which most of it lies, and of two halves
// for the first. So the lines of up to half an hour count for the hour beside theirs, and at midnight for the day.
func WholeHours(ahead time.Duration) time.Duration {
	const justBelowHalf = time.Hour/2 - 1
	return floor(ahead+justBelowHalf, time.Hour)
}

// floor rounds down to a multiple, also below zero.
func floor(value, multiple time.Duration) time.Duration {
	rest := value % multiple
	if rest < 0 {
		rest += multiple
	}
	return value - rest
}

// BusiestDay returns the day with the most lines in a zone that is ahead of UTC, and of equal days the first. Hours are
// moved as by WholeHours. found is false if there are no lines.
func BusiestDay(hours []HourCount, ahead time.Duration) (day HourCount, found bool) {
	const milliseconds = int64(24 * time.Hour / time.Millisecond)
	moved := WholeHours(ahead)
	lines := map[int64]int64{}
	for _, hour := range hours {
		number := hour.At.Add(moved).UnixMilli() / milliseconds
		lines[number] += hour.Lines
	}
	days := make([]int64, 0, len(lines))
	for number := range lines {
		days = append(days, number)
	}
	slices.Sort(days)
	for _, number := range days {
		if lines[number] > day.Lines {
			day = HourCount{At: time.UnixMilli(number * milliseconds).UTC().Add(-ahead), Lines: lines[number]}
		}
	}
	return day, day.Lines > 0
}
