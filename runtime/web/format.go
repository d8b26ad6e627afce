package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/room"
)

// timeFormat is how times are shown without scripts. With scripts they are shown in the reader's own zone.
const timeFormat = "2006-01-02 15:04"

// timeKind is how much of a time is shown.
type timeKind string

// The kinds. rosey.js has the same.
const (
	dayTime   timeKind = "day"   // the day and the time
	clockTime timeKind = "clock" // the time of day alone
	dateTime  timeKind = "date"  // the day alone
	sinceTime timeKind = "since" // the time of day, with the day if that is not today
)

// timeElement returns a time that rosey.js shows in the reader's zone: <time data-time="KIND">. ms is in milliseconds
// since 1970 UTC. 0: unknown.
func timeElement(kind timeKind, ms int64) template.HTML {
	if ms == 0 {
		return "unknown"
	}
	at := time.UnixMilli(ms).UTC()
	text := at.Format(timeFormat) + " UTC"
	switch kind {
	case clockTime:
		text = at.Format("15:04")
	case dateTime:
		text = at.Format("2006-01-02")
	case dayTime, sinceTime:
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-time="%s">%s</time>`, //nolint:gosec // numbers alone
		at.Format(time.RFC3339), kind, text))
}

func dayOf(ms int64) template.HTML   { return timeElement(dayTime, ms) }
func clockOf(ms int64) template.HTML { return timeElement(clockTime, ms) }
func dateOf(ms int64) template.HTML  { return timeElement(dateTime, ms) }
func sinceOf(ms int64) template.HTML { return timeElement(sinceTime, ms) }

// dayIn returns the day of a time in a zone that is some minutes ahead of UTC.
func dayIn(ms int64, zone int) string {
	return time.UnixMilli(ms).In(time.FixedZone("", zone*60)).Format(time.DateOnly)
}

// formatNumber returns a whole number with its thousands apart: 12 345.
func formatNumber(number any) string {
	text := fmt.Sprint(number)
	digits := strings.TrimPrefix(text, "-")
	if _, err := strconv.ParseUint(digits, 10, 64); err != nil {
		return text
	}
	var out strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteRune('\u202f')
		}
		out.WriteRune(digit)
	}
	return text[:len(text)-len(digits)] + out.String()
}

// formatSpan returns a time span of milliseconds in its two largest units, such as 3 d 4 h.
func formatSpan(ms int64) string {
	span := time.Duration(ms) * time.Millisecond
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, unit := range units {
		count := span / unit.size
		if count == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", count, unit.name)
		if i+1 < len(units) {
			if rest := span % unit.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0 s"
}

// formatLength returns a length in seconds as players do. 0 is a live stream.
func formatLength(seconds int) string {
	if seconds <= 0 {
		return "live"
	}
	return room.FormatClock(float64(seconds))
}

// queryOf returns the query of a URL for templates, which would escape one that is a string as a whole.
func queryOf(values url.Values) template.URL {
	return template.URL(values.Encode()) //nolint:gosec // every part is escaped
}

// parseZone returns the zone of the reader as minutes ahead of UTC, and what is wrong with it.
func parseZone(text string) (zone int, problem string) {
	minutes, inRange := numberIn(text, -bus.MaxUTCOffsetMinutes, bus.MaxUTCOffsetMinutes)
	if !inRange {
		return 0, "zone: expected the minutes that your clock is ahead of UTC, from -840 to 840."
	}
	return int(minutes), ""
}

// halfHours says what is not exact in a zone that is ahead of UTC by some minutes. Empty: everything is.
func halfHours(minutes int) string {
	if minutes%60 == 0 {
		return ""
	}
	return " Lines are counted by whole hours of UTC: in this zone, those of up to half an hour count for the hour " +
		"beside theirs, and at midnight for the day."
}

// zoneName returns the name of a zone that is some minutes ahead of UTC, such as UTC+02:00.
func zoneName(minutes int) string {
	return "UTC" + strings.TrimSuffix(time.Unix(0, 0).In(time.FixedZone("", minutes*60)).Format("Z07:00"), "Z")
}
