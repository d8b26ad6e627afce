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
// unless the repetition begins in the middle of them. They are counted from 0 then too. Of n equal lines, a connection
// that sees k stores the numbers 0 to k-1, and all connections together as many rows as the one that saw most.
// That is the rule, for one bot as for several that follow each other: the ID is what removes duplicates, so it must
// not depend on what else a bot has seen.
//
//   - Nothing is stored twice, because no number reaches n.
//   - Nothing is lost if one connection saw all n, or if no connection but one saw any.
//
// What is left is a run of equal lines that no connection saw whole: an earlier connection broke between two lines of
// the same millisecond after m of them, and the repetition has the last k and no longer the first. Then max(m, k) rows
// are stored of n. Nobody can tell how many are missing: for m = 10 and k = 15, any n from 15 to 25 looks the same, and
// with n = 15 every higher number would store a line twice.
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
