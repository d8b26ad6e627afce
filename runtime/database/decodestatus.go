package database

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// statusFields read the fields of a status. Others are ignored, and so is null.
var statusFields = map[string]func(status *store.Status, data []byte) error{
	"bot_name": statusField(func(s *store.Status, v text) { s.BotName = new(string(v)) }),
	"bot_rank": statusField(func(s *store.Status, v decimal) { s.BotRank = new(float64(v)) }),
	"bot_afk":  statusField(func(s *store.Status, v bus.Flag) { s.BotAFK = new(bool(v)) }),
	"channel_name": statusField(func(s *store.Status, v text) {
		s.ChannelName = new(string(v))
	}),
	"current_chat_users": statusField(func(s *store.Status, v number) {
		s.CurrentChatUsers = new(int(v))
	}),
	"current_connected_users": statusField(func(s *store.Status, v number) {
		s.CurrentConnectedUsers = new(int(v))
	}),
	"playlist_items": statusField(func(s *store.Status, v number) { s.PlaylistItems = new(int(v)) }),
	"current_media_title": statusField(func(s *store.Status, v text) {
		s.CurrentMediaTitle = new(string(v))
	}),
	"current_media_duration": statusField(func(s *store.Status, v decimal) {
		s.CurrentMediaDuration = new(int(v))
	}),
	"bot_start_time": statusField(func(s *store.Status, v decimal) { s.BotStartTime = new(int64(v)) }),
	"bot_connected":  statusField(func(s *store.Status, v bus.Flag) { s.BotConnected = new(bool(v)) }),
	"watching_since": statusField(func(s *store.Status, v bus.Seconds) { s.WatchingSince = &v.Time }),
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

// decodeStatus reads each field by itself: one that makes no sense must not take the others with it.
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
