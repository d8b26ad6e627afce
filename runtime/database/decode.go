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
)

// decoder turns messages into events.
type decoder struct {
	own store.Channel
	ids *bus.IDs
}

func (d decoder) event(suffix bus.Suffix, m arrival) (store.Event, error) {
	fact, origin, err := decodeFact(suffix, m.Data)
	if err != nil {
		return store.Event{}, err
	}
	at := d.time(origin, m.at)
	id := bus.EventID(m.Header.Get(bus.MsgIDHeader), suffix)
	if id == "" {
		id = d.ids.Next(at)
	}
	return store.Event{ID: id, Channel: d.channel(origin), At: at, Fact: fact}, nil
}

func (d decoder) time(origin bus.Origin, arrived time.Time) time.Time {
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

func (d decoder) channel(origin bus.Origin) store.Channel {
	if origin.Channel == "" {
		return d.own
	}
	channel := store.Channel{Server: strings.TrimRight(origin.Server, "/"), Name: origin.Channel}
	if channel.Server == "" {
		channel.Server = d.own.Server
	}
	return channel
}

func decodeFact(suffix bus.Suffix, data []byte) (store.Fact, bus.Origin, error) {
	switch suffix {
	case bus.UserJoined:
		payload, err := decodeUser(data)
		return store.UserJoined{Username: payload.Username}, payload.Origin, err
	case bus.UserLeft:
		payload, err := decodeUser(data)
		return store.UserLeft{Username: payload.Username}, payload.Origin, err
	case bus.MessageLog:
		payload, err := decodeMessage(data)
		return store.ChatLine{Username: payload.Username, Text: payload.Message}, payload.Origin, err
	case bus.StatsUserCount:
		payload, err := decodeObject[bus.UserCountPayload](data)
		return store.UserCount{Chat: payload.ChatCount, Connected: payload.ConnectedCount}, payload.Origin, err
	case bus.StatsHighWater:
		payload, err := decodeObject[bus.HighWaterPayload](data)
		return store.HighWater{Chat: payload.ChatCount, Connected: payload.ConnectedCount}, payload.Origin, err
	case bus.StatusUpdate:
		payload, err := decodeObject[bus.StatusPayload](data)
		return statusFact(payload.StatusData), payload.Origin, err
	default:
		return nil, bus.Origin{}, fmt.Errorf("%w: no event is published on %s", errIncomplete, suffix)
	}
}

func decodeUser(data []byte) (bus.UserPayload, error) {
	payload, err := decodeObject[bus.UserPayload](data)
	if err == nil && payload.Username == "" {
		err = fmt.Errorf("%w: no username", errIncomplete)
	}
	return payload, err
}

func decodeMessage(data []byte) (bus.MessagePayload, error) {
	payload, err := decodeObject[bus.MessagePayload](data)
	switch {
	case err != nil:
	case payload.Username == "":
		err = fmt.Errorf("%w: no username", errIncomplete)
	case payload.Message == "":
		err = fmt.Errorf("%w: no message", errIncomplete)
	case strings.EqualFold(payload.Username, "server"):
		// What the channel says about itself is no line of a user; the Python service has none either.
		err = fmt.Errorf("%w: not said by a user", errIncomplete)
	}
	return payload, err
}

func statusFact(data bus.StatusData) store.Status {
	return store.Status{
		BotName:               data.BotName,
		BotRank:               data.BotRank,
		BotAFK:                (*bool)(data.BotAFK),
		ChannelName:           data.ChannelName,
		CurrentChatUsers:      data.CurrentChatUsers,
		CurrentConnectedUsers: data.CurrentConnectedUsers,
		PlaylistItems:         data.PlaylistItems,
		CurrentMediaTitle:     data.CurrentMediaTitle,
		CurrentMediaDuration:  data.CurrentMediaDuration,
		BotStartTime:          data.BotStartTime,
		BotConnected:          (*bool)(data.BotConnected),
	}
}

// decodeObject decodes a JSON object. JSON's null would pass as one without any fields.
func decodeObject[T any](data []byte) (payload T, err error) {
	err = decodeInto(data, &payload)
	return payload, err
}

// decodeInto fails with errInvalid, without anything of what the message says: the error is logged, and
// the log is no place for chat.
func decodeInto(data []byte, payload any) error {
	err := json.Unmarshal(data, payload)
	if err == nil && !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return fmt.Errorf("%w: not an object", errInvalid)
	}
	if err == nil {
		return nil
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrongType.Field != "" {
		return fmt.Errorf("%w: field %s has the wrong type", errInvalid, wrongType.Field)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w: not JSON, at byte %d", errInvalid, syntax.Offset)
	}
	return fmt.Errorf("%w: not an object, or a field has an unexpected value", errInvalid)
}
