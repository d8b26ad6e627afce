package database

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// maxSkew is how far a message's time may be ahead of its arrival. A bot's wrong clock must not make
// maxima and spellings that nothing can replace for years.
const maxSkew = 2 * time.Second

var (
	// errIncomplete says that a message lacks what it is about. The Python service ignores it too.
	errIncomplete = errors.New("incomplete")
	// errInvalid says that a message cannot be read.
	errInvalid = errors.New("cannot be read")
	// errNotJSON is an errInvalid: not an object in JSON at all.
	errNotJSON = fmt.Errorf("%w: not a JSON object", errInvalid)
)

// decoder turns messages into events.
type decoder struct {
	own store.Channel
	ids *bus.IDs
}

// event answers an event without Fact when the message has none that can be stored. With an error,
// there may be a Fact all the same: what could be read of the message.
func (d decoder) event(suffix bus.Suffix, m arrival) (store.Event, error) {
	fact, origin, err := decodeFact(suffix, m.Data)
	if fact == nil {
		return store.Event{}, err
	}
	at := d.time(origin, m.at)
	if status, ok := fact.(store.Status); ok && !at.Equal(origin.Timestamp.Time) {
		// A clock that is ahead: the joins that belong to it had their times cut, each to another.
		status.WatchingSince = nil
		fact = status
	}
	id := m.eventID(suffix)
	switch {
	case id != "":
	case m.kept != nil:
		id = m.keptID(at)
	default:
		id = d.ids.Next(at)
	}
	return store.Event{ID: id, Channel: d.channel(origin), At: at, Fact: fact}, err
}

func (m arrival) eventID(suffix bus.Suffix) string {
	return bus.EventID(m.Header.Get(bus.MsgIDHeader), suffix)
}

// keptID is the id of an event that the stream keeps and that has none of its own: the same however often it comes.
func (m arrival) keptID(at time.Time) string {
	return fmt.Sprintf("%012x-%s", at.UnixMilli(), m.kept.id)
}

func (d decoder) time(origin origin, arrived time.Time) time.Time {
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

func (d decoder) channel(origin origin) store.Channel {
	if origin.Channel == "" {
		return d.own
	}
	channel := store.Channel{Server: strings.TrimRight(origin.Server, "/"), Name: origin.Channel}
	if channel.Server == "" {
		channel.Server = d.own.Server
	}
	return channel
}

// decoders are the subjects on which events are published.
var decoders = map[bus.Suffix]func(data []byte) (store.Fact, origin, error){
	bus.UserJoined: func(data []byte) (store.Fact, origin, error) {
		return decodeUser(data, func(name string) store.Fact { return store.UserJoined{Username: name} })
	},
	bus.UserLeft: func(data []byte) (store.Fact, origin, error) {
		return decodeUser(data, func(name string) store.Fact { return store.UserLeft{Username: name} })
	},
	bus.MessageLog:      decodeMessage,
	bus.StatsUserCount:  decodeUserCount,
	bus.StatsHighWater:  decodeHighWater,
	bus.StatusUpdate:    decodeStatus,
	bus.ActionPMCommand: decodePMCommand,
}

func decodeFact(suffix bus.Suffix, data []byte) (store.Fact, origin, error) {
	decode, known := decoders[suffix]
	if !known {
		return nil, origin{}, fmt.Errorf("%w: no event is published on %s", errInvalid, suffix)
	}
	return decode(data)
}

func decodeUser(data []byte, fact func(name string) store.Fact) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		Username text `json:"username"`
		origin
	}](data)
	if err == nil && payload.Username == "" {
		err = fmt.Errorf("%w: no username", errIncomplete)
	}
	if err != nil {
		return nil, origin{}, err
	}
	return fact(string(payload.Username)), payload.origin, nil
}

func decodeMessage(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		Username text `json:"username"`
		Message  text `json:"message"`
		origin
	}](data)
	switch {
	case err != nil:
	case payload.Username == "":
		err = fmt.Errorf("%w: no username", errIncomplete)
	case payload.Message == "":
		err = fmt.Errorf("%w: no message", errIncomplete)
	case strings.EqualFold(string(payload.Username), "server"):
		// What the channel says about itself is no line of a user; the Python service has none either.
		err = fmt.Errorf("%w: not said by a user", errIncomplete)
	}
	if err != nil {
		return nil, origin{}, err
	}
	return store.ChatLine{Username: string(payload.Username), Text: string(payload.Message)}, payload.origin, nil
}

func decodeUserCount(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		Chat      number `json:"chat_count"`
		Connected number `json:"connected_count"`
		origin
	}](data)
	if err != nil {
		return nil, origin{}, err
	}
	return store.UserCount{Chat: int(payload.Chat), Connected: int(payload.Connected)}, payload.origin, nil
}

func decodeHighWater(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		Chat      number  `json:"chat_count"`
		Connected *number `json:"connected_count"`
		origin
	}](data)
	if err != nil {
		return nil, origin{}, err
	}
	mark := store.HighWater{Chat: int(payload.Chat)}
	if payload.Connected != nil {
		mark.Connected = new(int(*payload.Connected))
	}
	return mark, payload.origin, nil
}

// decodePMCommand writes the details as the Python service does.
func decodePMCommand(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		Username text `json:"username"`
		Command  text `json:"command"`
		Args     text `json:"args"`
		Result   text `json:"result"`
		Error    text `json:"error"`
		origin
	}](data)
	switch {
	case err != nil:
	case payload.Username == "":
		err = fmt.Errorf("%w: no username", errIncomplete)
	case payload.Command == "":
		err = fmt.Errorf("%w: no command", errIncomplete)
	}
	if err != nil {
		return nil, origin{}, err
	}
	if payload.Result == "" {
		payload.Result = "unknown"
	}
	details := []string{"cmd=" + string(payload.Command)}
	for _, part := range []struct {
		name  string
		value text
	}{{"args", payload.Args}, {"result", payload.Result}, {"error", payload.Error}} {
		if part.value != "" {
			details = append(details, part.name+"="+string(part.value))
		}
	}
	return store.Action{
		Username: string(payload.Username), Type: store.ActionPMCommand, Details: strings.Join(details, ", "),
	}, payload.origin, nil
}

// decodeObject decodes a JSON object. JSON's null would pass as one without any fields.
func decodeObject[T any](data []byte) (payload T, err error) {
	err = decodeInto(data, &payload)
	return payload, err
}

// decodeInto fails with errInvalid, without anything of what the message says: the error is logged, and
// the log is no place for chat.
func decodeInto(data []byte, payload any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errNotJSON
	}
	err := json.Unmarshal(data, payload)
	if err == nil {
		return nil
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrongType.Field != "" {
		return fmt.Errorf("%w: field %s has the wrong type", errInvalid, fieldName(wrongType.Field))
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w: wrong at byte %d", errNotJSON, syntax.Offset)
	}
	return fmt.Errorf("%w: a field has an unexpected value", errInvalid)
}

// fieldName leaves out the names of embedded structs, which are no part of the message.
func fieldName(path string) string { return strings.TrimPrefix(path, "origin.") }
