package cytube

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/status"
)

// A server is not trusted with the bot's memory. What it sends is bounded by what a server of CyTube sends, with room,
// and by the default memory limit of a bot, of which everything here may take a part.
const (
	// maxFrame ends the connection. Only lists can be nearly as long: what is kept of one while it is read is bounded by
	// maxItems and maxListText.
	maxFrame = 16 << 20
	// maxRaw is the longest frame of which ReceivedEvent.Raw is kept, and the longest of an event that is not decoded:
	// lists of emotes have some 100 KB. The largest message that NATS takes by default is 1 MB.
	maxRaw = 512 << 10
	// maxEvent is the longest frame of every other event. A line of chat has 320 characters before filters are applied.
	maxEvent = 64 << 10
	// maxControl is the longest frame without an event.
	maxControl = 4 << 10

	// maxItems is the number of users and of items of a playlist that are kept of a list. CyTube's default limit of a
	// playlist is 4000.
	maxItems = 10_000
	// maxElement is the longest element of a list. One has the names from the same address, or the sources of a medium.
	maxElement = 64 << 10
	// maxListText bounds the names and titles that are kept of a list, in bytes.
	maxListText = 4 << 20

	// maxQueued bounds the events that were read and not yet returned by Next, in bytes of memory, and maxJoining and
	// maxJoiningEvents those that arrive before the bot has joined: the state of the channel, and what happens until then.
	maxQueued        = 2 << 20
	maxJoining       = 12 << 20
	maxJoiningEvents = 4096
)

const (
	// maxName is the longest name of a user, in bytes. CyTube's have up to 20 characters.
	maxName = 128
	// maxTitle and maxMediaID bound what is kept of a title and of a medium's ID, which can be a URL, in bytes. CyTube
	// cuts titles at 100 characters.
	maxTitle   = 512
	maxMediaID = 2048
	maxItemID  = 128 // of an item in the playlist: there are many, and nothing plays them by it
	// maxOptions is the number of options that are kept of a poll. CyTube's default limit is 50.
	maxOptions = 200
	// maxRefusal is the number of characters of a text with which the server refuses something.
	maxRefusal = 500
)

// wireName is the name of a user. A name that is too long for any user is malformed.
type wireName string

// UnmarshalJSON implements json.Unmarshaler.
func (n *wireName) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return fmt.Errorf("decoding a name: %w", err)
	}
	if len(name) > maxName {
		return fmt.Errorf("a name of %d bytes, expected %d at most", len(name), maxName)
	}
	*n = wireName(name)
	return nil
}

// wireCount is a number of connections. One that no channel has is malformed: it would be a record for ever.
type wireCount int

const maxCount = 1_000_000

// UnmarshalJSON implements json.Unmarshaler.
func (c *wireCount) UnmarshalJSON(data []byte) error {
	var count int
	if err := json.Unmarshal(data, &count); err != nil {
		return fmt.Errorf("decoding a number of connections: %w", err)
	}
	if count < 0 || count > maxCount {
		return fmt.Errorf("%d connections, expected 0 to %d", count, maxCount)
	}
	*c = wireCount(count)
	return nil
}

// wireRank is a rank. One that CyTube does not have becomes the nearest that is plausible: who has it is there all the
// same.
type wireRank float64

const maxRank = 1_000_000

// UnmarshalJSON implements json.Unmarshaler.
func (r *wireRank) UnmarshalJSON(data []byte) error {
	var rank float64
	if err := json.Unmarshal(data, &rank); err != nil {
		return fmt.Errorf("decoding a rank: %w", err)
	}
	*r = wireRank(min(max(rank, -1), maxRank))
	return nil
}

// wireText is a text that the server shows to a user: one printable line, since it reaches logs, the status and the
// chat.
type wireText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *wireText) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("decoding a text: %w", err)
	}
	*t = wireText(status.OneLine(text, maxRefusal))
	return nil
}

// cut returns the beginning of a text: limit bytes at most, and whole characters. The result does not keep the rest in
// memory.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return strings.Clone(text[:limit])
}

// size is an estimate of the memory that an event takes.
func (r ReceivedEvent) size() int64 {
	const base = 512 // structures, and texts that are short
	size := base + int64(len(r.Name)+2*len(r.Raw))
	switch event := r.Event.(type) {
	case UserList:
		for _, user := range event.Users {
			size += int64(base/8 + len(user.Name))
		}
	case Playlist:
		for _, item := range event.Items {
			size += int64(base/4 + item.textSize())
		}
	}
	return size
}

func (i Item) textSize() int {
	return len(i.Media.ID) + len(i.Media.Type) + len(i.Media.Title) + len(i.QueuedBy)
}
