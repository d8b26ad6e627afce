package database

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// maxSkew is how far the time of an event may be ahead of its arrival. Without a bound, a bot whose clock is wrong
// could set maxima and statuses that nothing can replace for years.
const maxSkew = 2 * time.Second

var (
	// errIncomplete marks a message that lacks a required field. The Python service ignores such a message too.
	errIncomplete = errors.New("incomplete")
	// errInvalid marks a message that cannot be decoded.
	errInvalid = errors.New("cannot be decoded")
	// errNotJSON is an errInvalid: the message is not a JSON object.
	errNotJSON = fmt.Errorf("%w: not a JSON object", errInvalid)
)

// decoder turns messages into events of the store.
type decoder struct {
	own    store.Channel
	served *servedChannels // nil: every channel is accepted
	ids    *bus.IDs
}

// event decodes a message. eventID is the event's ID in the message's ID, or empty. The event has no Fact if the
// message contains nothing that can be stored. With an error it may still have a Fact: the part that could be decoded.
func (d decoder) event(m bus.Message, eventID string) (store.Event, error) {
	fact, origin, err := decodeFact(m.Suffix, m.Data)
	channel, refused := d.channel(origin)
	if refused != nil {
		return store.Event{}, refused
	}
	if fact == nil {
		return store.Event{}, err
	}
	isServer := func(line store.ChatLine) bool { return strings.EqualFold(line.Username, "server") }
	if line, ok := fact.(store.ChatLine); ok && isServer(line) && bus.EventID(m.ID, m.Suffix) == "" {
		// The Python bot publishes the server's own messages so, and its service does not store them. A message with an
		// event ID is from a bot that publishes only what users say, and "server" is a valid name of a user.
		return store.Event{}, fmt.Errorf("%w: a message of the server, not of a user", errIncomplete)
	}
	at := boundTime(origin, m.Time)
	fact = boundFact(fact, at, m.Time, origin)
	switch {
	case eventID != "":
	case m.StreamID != "":
		eventID = streamEventID(at, m.StreamID)
	default:
		eventID = d.ids.Next(at)
	}
	return store.Event{ID: eventID, Channel: channel, At: at, Fact: fact}, err
}

// boundFact bounds the times in a fact of an event at a time, which has arrived at another.
func boundFact(fact store.Fact, at, arrived time.Time, origin origin) store.Fact {
	switch fact := fact.(type) {
	case store.Status:
		if !isPossibleWatch(fact, at, origin) {
			fact.WatchingSince = nil
		}
		return fact
	case store.MediaPlayed:
		if latest := arrived.Add(maxSkew); fact.Found.After(latest) {
			fact.Found = latest
		}
		return fact
	default:
		return fact
	}
}

// isPossibleWatch reports whether a bot can watch since a status's WatchingSince, at the bounded time of the status. If
// its clock is ahead, the joins that belong to this moment were bounded too, each to another time, so they no longer
// match it. A watch that begins later would end everybody's sessions.
func isPossibleWatch(status store.Status, at time.Time, origin origin) bool {
	return at.Equal(origin.Timestamp.Time) && (status.WatchingSince == nil || !status.WatchingSince.After(at))
}

// streamEventID returns the ID of an event of a stream whose publisher gave it none. It is the same at each delivery.
func streamEventID(at time.Time, streamID string) string {
	return fmt.Sprintf("%012x-%s", at.UnixMilli(), streamID)
}

// boundTime returns the time of an event: its publisher's, but not later than its arrival plus maxSkew.
func boundTime(origin origin, arrived time.Time) time.Time {
	latest := arrived.Add(maxSkew)
	switch {
	case origin.Timestamp.IsZero():
		return arrived
	case origin.Timestamp.After(latest):
		return latest
	default:
		return origin.Timestamp.Time
	}
}

// channel returns the channel a message belongs to. The error is an errNotServed.
func (d decoder) channel(origin origin) (store.Channel, error) {
	if origin.Channel == "" {
		return d.own, nil
	}
	channel := store.Channel{Server: strings.TrimRight(origin.Server, "/"), Name: origin.Channel}
	if channel.Server == "" {
		channel.Server = d.own.Server
	}
	if d.served == nil {
		return channel, nil
	}
	return d.served.find(channel)
}

// decodeObject decodes a JSON object. JSON's null is an error, although encoding/json accepts it as an object.
func decodeObject[T any](data []byte) (payload T, err error) {
	err = decodeInto(data, &payload)
	return payload, err
}

// decodeInto returns an errInvalid without any of the message's content: the error is logged, and chat must not be in
// the log.
func decodeInto(data []byte, payload any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errNotJSON
	}
	err := json.Unmarshal(data, payload)
	if err == nil {
		return nil
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrongType.Field != "" {
		return &wrongFieldError{fieldName(wrongType.Field)}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w: wrong at byte %d", errNotJSON, syntax.Offset)
	}
	return fmt.Errorf("%w: a field has an unexpected value", errInvalid)
}

// wrongFieldError is for a field of the wrong type.
type wrongFieldError struct{ field string }

// Error implements error.
func (e *wrongFieldError) Error() string {
	return fmt.Sprintf("%v: field %s has the wrong type", errInvalid, e.field)
}

// Unwrap implements the errors package's interface.
func (e *wrongFieldError) Unwrap() error { return errInvalid }

// fieldName returns a field's name on the wire, which does not include the embedded structs of Go.
func fieldName(path string) string { return path[strings.LastIndex(path, ".")+1:] }

// The types below are lenient: some clients send other JSON types, or rely on SQLite to convert a text to a number.
// Their errors are json.UnmarshalTypeErrors, to which encoding/json adds the name of the field.

func wrongType(target any) error {
	return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeOf(target)}
}

// unquoted returns the content of a JSON string, or the value itself if it is none.
func unquoted(data []byte) (content string, wasText bool) {
	// Most strings have no escapes and need no decoding. encoding/json has checked that the value is valid.
	if last := len(data) - 1; last > 0 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data) {
		return string(data[1:last]), true
	}
	if err := json.Unmarshal(data, &content); err != nil || string(data) == "null" {
		return string(data), false
	}
	return content, true
}

// number is a whole number, which may be in quotes, or written as 20.0 or 2e1: Python and JavaScript take these for the
// same number. Null is an error: it does not mean the default.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	content, _ := unquoted(data)
	value, err := strconv.ParseInt(content, 10, 64)
	if err == nil && value >= -maxDecimal && value <= maxDecimal {
		*n = number(value)
		return nil
	}
	var written decimal
	if err = written.UnmarshalJSON(data); err != nil || written != decimal(math.Trunc(float64(written))) {
		return wrongType(*n)
	}
	*n = number(written)
	return nil
}

// decimal is a number, which may be in quotes.
type decimal float64

// maxDecimal is more than anything that is counted or measured, and less than what an int64 holds.
const maxDecimal = 1e15

// UnmarshalJSON implements json.Unmarshaler.
func (d *decimal) UnmarshalJSON(data []byte) error {
	content, _ := unquoted(data)
	value, err := strconv.ParseFloat(content, 64)
	if err != nil || !(value >= -maxDecimal && value <= maxDecimal) {
		return wrongType(*d)
	}
	*d = decimal(value)
	return nil
}

// text is a string, or the digits of a number. Values that are false in Python are the empty text.
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
		return wrongType(*t)
	}
	return nil
}

// earliest is long before the first CyTube server. A clock that was never set is earlier, and so is the uptime of a
// machine: either would make a user of today one who has been in the channel since 1970, for good.
var earliest = time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC)

// moment is a time that a client states. Any value that is not a time since earliest is the zero moment: the Python
// service ignores all times, so its clients may send anything.
type moment struct{ bus.Seconds }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(data []byte) error {
	var stated bus.Seconds
	if stated.UnmarshalJSON(data) == nil && !stated.Before(earliest) {
		m.Seconds = stated
	}
	return nil
}

// origin is bus.Origin as clients send it.
type origin struct {
	Server    string `json:"server"`
	Channel   string `json:"channel"`
	Timestamp moment `json:"timestamp"`
}

func (o origin) from() origin { return o }
