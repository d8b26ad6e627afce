package database

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/bus"
)

// The types of this file read what clients send who know no types, or who rely on SQLite to turn a text
// into a number. Their errors are json.UnmarshalTypeErrors, to which the decoder adds the field's name.

func wrongType(value string, target any) error {
	return &json.UnmarshalTypeError{Value: value, Type: reflect.TypeOf(target)}
}

// unquoted is the content of a JSON string, or the value itself.
func unquoted(data []byte) (content string, wasText bool) {
	// Most texts are as they are written. The decoder has seen that they are JSON.
	if last := len(data) - 1; last > 0 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data) {
		return string(data[1:last]), true
	}
	if err := json.Unmarshal(data, &content); err != nil || string(data) == "null" {
		return string(data), false
	}
	return content, true
}

// number is a whole number, which may be in quotes. Null is an error, and not the default.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	content, _ := unquoted(data)
	value, err := strconv.ParseInt(content, 10, 64)
	if err != nil {
		return wrongType("value", *n)
	}
	*n = number(value)
	return nil
}

// decimal is a number, which may be in quotes.
type decimal float64

// maxDecimal is beyond all that is counted or measured, and below what an integer holds.
const maxDecimal = 1e15

// UnmarshalJSON implements json.Unmarshaler.
func (d *decimal) UnmarshalJSON(data []byte) error {
	content, _ := unquoted(data)
	value, err := strconv.ParseFloat(content, 64)
	if err != nil || !(value >= -maxDecimal && value <= maxDecimal) {
		return wrongType("value", *d)
	}
	*d = decimal(value)
	return nil
}

// text is a text, or a number as it is written. What Python takes for nothing is the empty text.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	content, wasText := unquoted(data)
	if wasText {
		*t = text(content)
		return nil
	}
	number, err := strconv.ParseFloat(content, 64)
	switch {
	case content == "null" || content == "false" || err == nil && number == 0:
		*t = ""
	case err == nil:
		*t = text(content)
	default:
		return wrongType("value", *t)
	}
	return nil
}

// moment is a time that a client says, unless it is in a form that we do not know: the Python service
// ignores all times, so a client may well send any.
type moment struct{ bus.Seconds }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(data []byte) error {
	var said bus.Seconds
	if said.UnmarshalJSON(data) == nil {
		m.Seconds = said
	}
	return nil
}

// origin is bus.Origin as clients send it.
type origin struct {
	Server    string `json:"server"`
	Channel   string `json:"channel"`
	Timestamp moment `json:"timestamp"`
}
