package legacy

import (
	"math"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// row is a row whose columns hold whatever was put in: SQLite does not enforce a column's type.
type row struct {
	columns []string
	values  []any
}

func (r row) value(column string) any { return r.values[slices.Index(r.columns, column)] }

// text is empty for what is no text.
func (r row) text(column string) string {
	switch value := r.value(column).(type) {
	case string:
		return store.CleanText(value)
	case []byte:
		return store.CleanText(string(value))
	default:
		return ""
	}
}

// number is false for what is no number, and for NULL.
func (r row) number(column string) (int64, bool) {
	switch value := r.value(column).(type) {
	case int64:
		return value, true
	case bool:
		if value {
			return 1, true
		}
		return 0, true
	case float64:
		if math.Abs(value) < 1<<53 {
			return int64(value), true
		}
	}
	return 0, false
}

// count is a number of something: false below 0, and 0 for NULL.
func (r row) count(column string) (int, bool) {
	if r.value(column) == nil {
		return 0, true
	}
	value, ok := r.number(column)
	return int(value), ok && value >= 0 && value < math.MaxInt32*1000
}

// skew bounds times, so that a clock that was wrong once does not stay the newest for ever.
const skew = time.Hour

// time reads Unix seconds, or a date and time in UTC as SQLAlchemy writes them. False for one that
// cannot be, and for NULL.
func (r row) time(column string) (time.Time, bool) {
	var at time.Time
	switch value := r.value(column).(type) {
	case time.Time:
		at = value
	case string:
		for _, layout := range []string{"2006-01-02 15:04:05.999999", time.RFC3339Nano} {
			if parsed, err := time.Parse(layout, value); err == nil {
				at = parsed
			}
		}
	default:
		seconds, ok := r.number(column)
		if !ok || seconds > math.MaxInt32*4 {
			return time.Time{}, false
		}
		at = time.Unix(seconds, 0)
	}
	return at.UTC(), at.Unix() > 0
}

// past is time for something that happened.
func (r row) past(column string) (time.Time, bool) {
	at, ok := r.time(column)
	return at, ok && at.Before(time.Now().Add(skew))
}
