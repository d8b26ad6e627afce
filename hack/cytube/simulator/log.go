package simulator

import (
	"context"
	"fmt"
	"slices"
)

// Kind says what an Entry records.
type Kind string

// The kinds of entries.
const (
	KindConnect    Kind = "connect"    // a connection joined the channel; User if it was logged in already
	KindDisconnect Kind = "disconnect" // a connection left the channel; User if it was logged in
	KindJoin       Kind = "join"       // User entered the user list (addUser)
	KindLeave      Kind = "leave"      // User left the user list (userLeave)
	KindChat       Kind = "chat"       // User said Text (chatMsg)
	KindPM         Kind = "pm"         // User told To Text (pm)
	KindUsercount  Kind = "usercount"  // Count was broadcast (usercount)
	KindKick       Kind = "kick"       // User was kicked; Text is the reason
)

// Entry is one thing that happened in a channel.
type Entry struct {
	// Seq counts the channel's entries from 1, without gaps.
	Seq uint64 `json:"seq"`
	// Time is in Unix milliseconds; of a chat or pm entry it is the frame's own time.
	Time int64  `json:"time"`
	Kind Kind   `json:"kind"`
	User string `json:"user,omitempty"`
	To   string `json:"to,omitempty"`
	// Text is what clients saw: HTML, escaped and with links.
	Text string `json:"text,omitempty"`
	// Class is the line's meta.addClass, e.g. "action" for /me.
	Class string `json:"class,omitempty"`
	// Count is of a usercount entry, where it is everyone connected.
	Count int `json:"count,omitempty"`
}

// eventLog keeps the last entries of a channel. The server's lock guards it.
type eventLog struct {
	limit   int
	last    uint64
	entries []Entry
	changed chan struct{} // closed and replaced by every append
}

func newEventLog(limit int) *eventLog {
	return &eventLog{limit: limit, changed: make(chan struct{})}
}

func (l *eventLog) append(e Entry) Entry {
	l.last++
	e.Seq = l.last
	l.entries = append(l.entries, e)
	// Dropping a tenth at a time keeps an append cheap on a full log.
	if len(l.entries) > l.limit+l.limit/10 {
		l.entries = slices.Clone(l.entries[len(l.entries)-l.limit:])
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return e
}

// after returns a copy of the entries with a sequence number above seq.
func (l *eventLog) after(seq uint64) []Entry {
	dropped := l.last - uint64(len(l.entries))
	if seq >= l.last {
		return []Entry{}
	}
	return slices.Clone(l.entries[max(seq, dropped)-dropped:])
}

// Log returns what happened in the channel, oldest first.
func (c *Channel) Log() []Entry { return c.logAfter(0) }

func (c *Channel) logAfter(seq uint64) []Entry {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	return c.log.after(seq)
}

// WaitFor returns the first entry with a sequence number above after that match accepts, waiting for it if it has
// not happened yet. The error says that ctx ended first.
func (c *Channel) WaitFor(ctx context.Context, after uint64, match func(Entry) bool) (Entry, error) {
	for {
		c.srv.mu.Lock()
		entries, changed := c.log.after(after), c.log.changed
		c.srv.mu.Unlock()
		for _, e := range entries {
			if match(e) {
				return e, nil
			}
			after = e.Seq
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Entry{}, fmt.Errorf("waiting for an entry of channel %s after %d: %w", c.name, after, ctx.Err())
		}
	}
}
