package config

import (
	"reflect"
	"strconv"
)

// Limits bound what clients can send to a database service, and what they can have kept. Sizes are in bytes of UTF-8.
// A field that is 0 has its default; see WithDefaults.
type Limits struct {
	// MessageBytes bounds the body of an event or a request.
	MessageBytes int `json:"messageBytes,omitempty"`
	// TextBytes bounds a line of chat, the details of an action, and a text of a status.
	TextBytes int `json:"textBytes,omitempty"`
	// NameBytes bounds the name of a user or a channel.
	NameBytes int `json:"nameBytes,omitempty"`
	// ChannelRows and ChannelBytes bound the rows of a channel: chat, joins and leaves, stays of bots, samples, actions,
	// reports of what was played, hours in which somebody wrote, and outbound lines. A row counts as its texts, twice its
	// event's ID, and RowOverhead bytes.
	ChannelRows  int `json:"channelRows,omitempty"`
	ChannelBytes int `json:"channelBytes,omitempty"`
	// People bounds the users that are known of a channel.
	People int `json:"people,omitempty"`
	// OutboundWaiting bounds the outbound lines of a channel that were neither said nor abandoned.
	OutboundWaiting int `json:"outboundWaiting,omitempty"`
	// KVKeys and KVBytes bound the keys of one plugin in one channel. A key counts as its plugin's name, its own name, its
	// value, and RowOverhead bytes.
	KVKeys  int `json:"kvKeys,omitempty"`
	KVBytes int `json:"kvBytes,omitempty"`
	// KVPlugins bounds the plugins that have keys in one channel, and KVChannelBytes the keys of all of them.
	KVPlugins      int `json:"kvPlugins,omitempty"`
	KVChannelBytes int `json:"kvChannelBytes,omitempty"`
	// DeadLetters and DeadLetterBytes bound the dead letters of the database. The oldest are removed.
	DeadLetters     int `json:"deadLetters,omitempty"`
	DeadLetterBytes int `json:"deadLetterBytes,omitempty"`
}

// RowOverhead is what a row counts in addition to its texts: its numbers, and its entries in indexes.
const RowOverhead = 100

// MaxTextBytes is the largest Limits.TextBytes. A longer text in the database is from before there were limits.
const MaxTextBytes = 64 << 10

func limitKey(usual, minimum, maximum int, usage string) Key {
	return Key{Usage: usage, Default: strconv.Itoa(usual), minimum: minimum, maximum: maximum}
}

// WithDefaults returns the limits with defaults in place of zeros.
func (l Limits) WithDefaults() Limits {
	value := reflect.ValueOf(&l).Elem()
	for name, field := range fields(value.Type()) {
		if own := value.FieldByIndex(field.Index); own.Int() == 0 {
			usual, _ := strconv.ParseInt(settings[join("database.limits", name)].Default, 10, 64) // by limitKey
			own.SetInt(usual)
		}
	}
	return l
}
