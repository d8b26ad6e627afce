package bus

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Seconds is a moment on the wire: Unix seconds as a JSON number, whole or with a fraction.
// It keeps milliseconds. The zero Seconds is "not said".
type Seconds struct{ time.Time }

// MarshalJSON writes seconds with milliseconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	ms := s.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON reads a number of seconds; null is "not said".
func (s *Seconds) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return fmt.Errorf("timestamp %s: expected Unix seconds as a number", data)
	}
	s.Time = time.UnixMilli(int64(seconds*1000 + 0.5)).UTC()
	return nil
}

// maxSeconds is the end of the year 9999, the last that JSON dates and SQLite's date functions know.
const maxSeconds = 253402300799

// Flag is a truth value on the wire: the Python bot sends 0 and 1, others true and false.
type Flag bool

// MarshalJSON writes 0 or 1.
func (f Flag) MarshalJSON() ([]byte, error) {
	if f {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// UnmarshalJSON reads a boolean or a number.
func (f *Flag) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true":
		*f = true
		return nil
	case "false", "null":
		*f = false
		return nil
	}
	number, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("flag %s: expected true, false, 0 or 1", data)
	}
	*f = number != 0
	return nil
}
