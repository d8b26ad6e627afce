package bus

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Origin is where and when something happened. Its fields are optional on the wire: an event without a channel belongs
// to the service's own channel, one without a timestamp to the moment at which it arrives.
type Origin struct {
	Server    string  `json:"server,omitempty"`
	Channel   string  `json:"channel,omitempty"`
	Timestamp Seconds `json:"timestamp,omitzero"`
}

// UserPayload is the body of UserJoined and UserLeft.
type UserPayload struct {
	Username string `json:"username"`
	Origin
}

// MessagePayload is the body of MessageLog. Message is HTML as CyTube sent it.
type MessagePayload struct {
	Username string `json:"username"`
	Message  string `json:"message"`
	Origin
	// Replayed marks a line that the server repeated when the bot joined: it may have been published before. It is not
	// part of the body.
	Replayed bool `json:"-"`
}

// UserCountPayload is the body of StatsUserCount.
type UserCountPayload struct {
	ChatCount      int `json:"chat_count"`
	ConnectedCount int `json:"connected_count"`
	Origin
}

// HighWaterPayload is the body of StatsHighWater.
type HighWaterPayload struct {
	ChatCount      int  `json:"chat_count"`
	ConnectedCount *int `json:"connected_count"`
	Origin
}

// StatusPayload is the body of StatusUpdate.
type StatusPayload struct {
	StatusData StatusData `json:"status_data"`
	Origin
}

// StatusData is the bot's state. A nil field is not sent and leaves the stored value as it is.
type StatusData struct {
	BotName               *string  `json:"bot_name,omitempty"`
	BotRank               *float64 `json:"bot_rank,omitempty"`
	BotAFK                *Flag    `json:"bot_afk,omitempty"`
	ChannelName           *string  `json:"channel_name,omitempty"`
	CurrentChatUsers      *int     `json:"current_chat_users,omitempty"`
	CurrentConnectedUsers *int     `json:"current_connected_users,omitempty"`
	PlaylistItems         *int     `json:"playlist_items,omitempty"`
	CurrentMediaTitle     *string  `json:"current_media_title,omitempty"`
	CurrentMediaDuration  *int64   `json:"current_media_duration,omitempty"` // seconds
	BotStartTime          *int64   `json:"bot_start_time,omitempty"`         // Unix seconds
	BotConnected          *Flag    `json:"bot_connected,omitempty"`
	// WatchingSince is when the bot joined the channel and received the list of users, each of whom has a UserJoined
	// with the same time. Everybody else who was there before has left while no bot was in the channel.
	WatchingSince Seconds `json:"watching_since,omitzero"`
}

// PMCommandPayload is the body of ActionPMCommand: a user gave the bot a command by private message.
type PMCommandPayload struct {
	Username string `json:"username"`
	// Command is the first word, Args the rest. Of the arguments of a private call of a plugin it is only the length.
	Command string `json:"command"`
	Args    string `json:"args"`
	// Result is "success" or "error". The Python bot also publishes an event with "pending" before; the service's
	// default is "unknown".
	Result string  `json:"result"`
	Error  *string `json:"error"`
	// Plugin and Call are set if a plugin was called or did something: Command is then the plugin's name, a dot, and the
	// command or what it did, and Username who called, or "plugin NAME" if the plugin did it by itself.
	Plugin string `json:"plugin,omitempty"`
	Call   string `json:"call,omitempty"`
	// Said are the lines that the plugin answered a call with, separated by " / ". Of a private message it is only who
	// got it, and how long it is.
	Said string `json:"said,omitempty"`
	Origin
}

// OutboundSentPayload is the body of OutboundSent. It outweighs every OutboundFailed of the same message.
type OutboundSentPayload struct {
	MessageID *int64 `json:"message_id"`
	// MessageTimestamp is OutboundMessage.Timestamp. A message with this ID and another time is a different one: a
	// restored database assigns IDs again. 0: the ID alone identifies the message.
	MessageTimestamp int64 `json:"message_timestamp,omitempty"`
	Origin
}

// OutboundFailedPayload is the body of OutboundFailed.
type OutboundFailedPayload struct {
	MessageID *int64 `json:"message_id"`
	// MessageTimestamp is as in OutboundSentPayload.
	MessageTimestamp int64 `json:"message_timestamp,omitempty"`
	// Error is the cause, for people. The replies to OutboundGet contain it from then on.
	Error string `json:"error"`
	// Permanent means that another attempt is useless: the message is abandoned at once.
	Permanent bool `json:"permanent"`
	// RetryCount is OutboundMessage.RetryCount of the message as it was claimed. It makes a repeated report count
	// once. Required.
	RetryCount *int `json:"retry_count,omitempty"`
	Origin
}

// Seconds is a time on the wire: Unix seconds as a JSON number, whole or with a fraction, of which milliseconds are
// kept. The zero value means that no time is given.
type Seconds struct{ time.Time }

// MarshalJSON writes seconds with three decimal places.
func (s Seconds) MarshalJSON() ([]byte, error) {
	ms := s.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON reads a number of seconds, or null, which leaves s as it is.
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

// maxSeconds is the end of the year 9999, the last that time.Time's JSON and SQLite's date functions support.
const maxSeconds = 253402300799

// Flag is a boolean on the wire: the Python bot sends 0 and 1, others true and false.
type Flag bool

// MarshalJSON writes 0 or 1.
func (f Flag) MarshalJSON() ([]byte, error) {
	if f {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// UnmarshalJSON reads a boolean or a number. Null is false.
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
