package web

import (
	"encoding/json"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// feedEvent is what the pages read of an event of the bot's feed.
type feedEvent struct {
	Event string `json:"event"`
	User  string `json:"user"`
	// Content is HTML as CyTube sent it.
	Content   string `json:"content"`
	Timestamp int64  `json:"timestamp"` // Unix seconds
	// Replayed marks a line that was said before the bot joined. Who shows what is stored has it already.
	Replayed     bool `json:"replayed"`
	PlatformData struct {
		Time json.Number `json:"time"` // milliseconds, of a line of chat
	} `json:"platform_data"`
	bus.FeedPosition
}

// UnmarshalJSON implements json.Unmarshaler. The data of the platform have another form for each event, so they are
// read only where they are needed.
func (e *feedEvent) UnmarshalJSON(data []byte) error {
	type plain feedEvent
	var raw struct {
		plain
		PlatformData json.RawMessage `json:"platform_data"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err //nolint:wrapcheck // the caller drops it
	}
	*e = feedEvent(raw.plain)
	if e.Event == messageEvent {
		_ = json.Unmarshal(raw.PlatformData, &e.PlatformData) // without it, the time is in seconds
	}
	return nil
}

// messageEvent is the name of a line of chat in the feed.
const messageEvent = "message"

// at returns when a line was said, in milliseconds since 1970 UTC.
func (e *feedEvent) at() int64 {
	if ms, err := e.PlatformData.Time.Int64(); err == nil && ms > 0 {
		return ms
	}
	if e.Timestamp > 0 {
		return e.Timestamp * 1000
	}
	return time.Now().UnixMilli()
}

// stateEvents are the events after which the channel may be another one than the page shows. The server repeats where
// the playback is (mediaUpdate) every few seconds, which also notices a pause and a jump.
var stateEvents = map[string]bool{
	"user_join": true, "user_leave": true, "user_list": true, "setAFK": true, "setUserMeta": true, "setUserRank": true,
	"changeMedia": true, "mediaUpdate": true, "setCurrent": true, "setLeader": true, "queue": true, "delete": true,
	"moveVideo": true, "playlist": true, "setPlaylistMeta": true, "setUserProfile": false, "usercount": true,
	"rank": true, "kick": true, "disconnect": true,
}

// isNext reports whether an event follows another directly. A bot of an earlier version sends no numbers: then nothing
// can be said.
func isNext(position, last bus.FeedPosition) bool {
	return position.Number == 0 || position.BotStart == last.BotStart && position.Number == last.Number+1
}
