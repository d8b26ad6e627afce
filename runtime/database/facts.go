package database

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// factDecoders are the subjects on which events are published, and how each payload becomes a fact of the store.
var factDecoders = map[bus.Suffix]func(data []byte) (store.Fact, origin, error){
	bus.UserJoined: func(data []byte) (store.Fact, origin, error) {
		return decodeUser(data, func(name string) store.Fact { return store.UserJoined{Username: name} })
	},
	bus.UserLeft: func(data []byte) (store.Fact, origin, error) {
		return decodeUser(data, func(name string) store.Fact { return store.UserLeft{Username: name} })
	},
	bus.MessageLog:      decodeChatLine,
	bus.StatsUserCount:  decodeUserCount,
	bus.StatsHighWater:  decodeHighWater,
	bus.StatusUpdate:    decodeStatus,
	bus.ActionPMCommand: decodePMCommand,
	bus.OutboundSent:    decodeOutboundSent,
	bus.OutboundFailed:  decodeOutboundFailed,
}

func decodeFact(suffix bus.Suffix, data []byte) (store.Fact, origin, error) {
	decode, known := factDecoders[suffix]
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

func decodeChatLine(data []byte) (store.Fact, origin, error) {
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
		// The Python service does not store what the server says either.
		err = fmt.Errorf("%w: a message of the server, not of a user", errIncomplete)
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

// decodePMCommand writes the details of an action as the Python service does.
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

// errNoMessageID and errNoRetryCount mark reports of outbound lines that lack a required field. The Python service
// ignores a report without the first.
var (
	errNoMessageID  = fmt.Errorf("%w: field message_id is missing", errIncomplete)
	errNoRetryCount = fmt.Errorf("%w: field retry_count is missing", errInvalid)
)

func decodeOutboundSent(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		MessageID        *number `json:"message_id"`
		MessageTimestamp moment  `json:"message_timestamp"`
		origin
	}](data)
	if err == nil && payload.MessageID == nil {
		err = errNoMessageID
	}
	if err != nil {
		return nil, origin{}, err
	}
	return store.OutboundSent{
		ID: int64(*payload.MessageID), EnqueuedAt: payload.MessageTimestamp.Time,
	}, payload.origin, nil
}

func decodeOutboundFailed(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		MessageID        *number  `json:"message_id"`
		MessageTimestamp moment   `json:"message_timestamp"`
		RetryCount       *number  `json:"retry_count"`
		Error            text     `json:"error"`
		Permanent        bus.Flag `json:"permanent"`
		origin
	}](data)
	switch {
	case err != nil:
	case payload.MessageID == nil:
		err = errNoMessageID
	case payload.RetryCount == nil:
		err = errNoRetryCount
	}
	if err != nil {
		return nil, origin{}, err
	}
	return store.OutboundFailed{
		ID: int64(*payload.MessageID), EnqueuedAt: payload.MessageTimestamp.Time, Attempts: int(*payload.RetryCount),
		Error: string(payload.Error), Permanent: bool(payload.Permanent),
	}, payload.origin, nil
}

// statusFields decode the fields of a status. Other fields are ignored, and so is null.
var statusFields = map[string]func(status *store.Status, data []byte) error{
	"bot_name":                statusField(func(s *store.Status, v text) { s.BotName = new(string(v)) }),
	"bot_rank":                statusField(func(s *store.Status, v decimal) { s.BotRank = new(float64(v)) }),
	"bot_afk":                 statusField(func(s *store.Status, v bus.Flag) { s.BotAFK = new(bool(v)) }),
	"channel_name":            statusField(func(s *store.Status, v text) { s.ChannelName = new(string(v)) }),
	"current_chat_users":      statusField(func(s *store.Status, v number) { s.CurrentChatUsers = new(int(v)) }),
	"current_connected_users": statusField(func(s *store.Status, v number) { s.CurrentConnectedUsers = new(int(v)) }),
	"playlist_items":          statusField(func(s *store.Status, v number) { s.PlaylistItems = new(int(v)) }),
	"current_media_title":     statusField(func(s *store.Status, v text) { s.CurrentMediaTitle = new(string(v)) }),
	"current_media_duration":  statusField(func(s *store.Status, v decimal) { s.CurrentMediaDuration = new(int(v)) }),
	"bot_start_time":          statusField(func(s *store.Status, v decimal) { s.BotStartTime = new(int64(v)) }),
	"bot_connected":           statusField(func(s *store.Status, v bus.Flag) { s.BotConnected = new(bool(v)) }),
	"watching_since":          statusField(func(s *store.Status, v bus.Seconds) { s.WatchingSince = &v.Time }),
}

func statusField[V any](set func(*store.Status, V)) func(*store.Status, []byte) error {
	return func(status *store.Status, data []byte) error {
		var value *V
		if err := json.Unmarshal(data, &value); err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		if value != nil {
			set(status, *value)
		}
		return nil
	}
}

// decodeStatus decodes each field separately, so that one that cannot be decoded does not lose the others. It may
// return a fact and an error.
func decodeStatus(data []byte) (store.Fact, origin, error) {
	payload, err := decodeObject[struct {
		StatusData map[string]json.RawMessage `json:"status_data"`
		origin
	}](data)
	if err != nil {
		return nil, origin{}, err
	}
	var status store.Status
	var known int
	var bad []string
	for name, value := range payload.StatusData {
		set, ok := statusFields[name]
		switch {
		case !ok:
		case set(&status, value) != nil:
			bad = append(bad, name)
		default:
			known++
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		err = fmt.Errorf("%w: status fields of a wrong type: %s", errInvalid, strings.Join(bad, ", "))
	}
	switch {
	case known > 0:
		return status, payload.origin, err
	case err == nil:
		err = fmt.Errorf("%w: no status", errIncomplete)
	}
	return nil, origin{}, err
}

// reportError returns what the sender of a report is told about a report that cannot be decoded.
func reportError(err error) string {
	if errors.Is(err, errNoRetryCount) {
		return "retry_count: expected a whole number"
	}
	return "message_id: expected a whole number"
}
