package bus

import "time"

// maxCounted is the number of different lines whose repetitions ChatLineIDs counts at a time. Repetitions follow each
// other within a millisecond, so it only has to hold what a server sends in one.
const maxCounted = 256

// ChatLineIDs derives the IDs of the chat lines of one connection to a channel, in the order in which they arrive. A
// client may emit one line many times at once: CyTube gives all of them one time, so only their order tells them apart,
// and each gets the number of those before it. Without the number they would be one row.
//
// The server repeats its last 15 lines on each join, in their order, so every connection counts the same lines alike,
// unless the repetition begins in the middle of them. They are counted from 0 then too. That doubles nothing, because
// only numbers up to that of the last line can result, and loses nothing: if an earlier connection got all of them, all
// numbers are stored, and if none got any, every number is as good.
//
// In one case nobody can tell which lines are repeated: the earlier connection broke between two lines of the same
// millisecond, and the repetition no longer has the first of them. The repeated lines are then taken for those that the
// earlier connection got, so some may be lost; with other numbers, lines would be stored twice.
//
// A ChatLineIDs belongs to one connection and is not safe for concurrent use.
type ChatLineIDs struct {
	origin Origin
	// said counts how often a line was said, by the ID of the first. order has the same IDs, the oldest first.
	said  map[string]int
	order []string
}

// NewChatLineIDs returns a ChatLineIDs for a new connection to the channel of origin.
func NewChatLineIDs(origin Origin) *ChatLineIDs {
	return &ChatLineIDs{origin: origin, said: map[string]int{}}
}

// Next returns the ID of the next line that has arrived.
func (c *ChatLineIDs) Next(user string, at time.Time, kind, text string) string {
	first := ChatLineID(c.origin.Server, c.origin.Channel, user, at, kind, text, 0)
	number, known := c.said[first]
	if !known {
		c.order = append(c.order, first)
	}
	c.said[first] = number + 1
	if len(c.order) > maxCounted {
		delete(c.said, c.order[0])
		c.order = c.order[1:]
	}
	if number == 0 {
		return first
	}
	return ChatLineID(c.origin.Server, c.origin.Channel, user, at, kind, text, number)
}
