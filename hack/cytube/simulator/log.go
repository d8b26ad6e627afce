package simulator

import (
	"context"
	"fmt"
	"slices"
)

// Kind is the kind of an Entry.
type Kind string

// The kinds of entries.
const (
	KindConnect    Kind = "connect"    // a connection joined the channel; User if it was already logged in
	KindDisconnect Kind = "disconnect" // a connection left the channel; User if it was logged in
	KindJoin       Kind = "join"       // User entered the user list (addUser)
	KindLeave      Kind = "leave"      // User left the user list (userLeave)
	KindChat       Kind = "chat"       // User said Text (chatMsg)
	KindPM         Kind = "pm"         // User sent Text to To (pm)
	KindUsercount  Kind = "usercount"  // Count was broadcast (usercount)
	KindKick       Kind = "kick"       // User was kicked; Text is the reason
	KindRefuse     Kind = "refuse"     // an event of User was refused; Text is the event and the message, or the reason
	KindMute       Kind = "mute"       // User was muted (Text "true" or "shadow") or unmuted ("false")
	KindBan        Kind = "ban"        // User's name was banned; Text is the reason
	KindUnban      Kind = "unban"      // the ban of User's name ended
	KindRank       Kind = "rank"       // User got the rank in Text
	KindAFK        Kind = "afk"        // User went away (Text "true") or came back ("false")
	KindClear      Kind = "clear"      // User cleared the chat
	KindDrink      Kind = "drink"      // User called drinks; Count is the new number

	KindQueue  Kind = "queue"  // User added Text to the playlist; Count is its uid
	KindMove   Kind = "move"   // User moved Text, whose uid is Count
	KindTemp   Kind = "temp"   // User made the item with uid Count permanent (Text "false") or temporary ("true")
	KindDelete Kind = "delete" // Text, whose uid is Count, left the playlist
	KindMedia  Kind = "media"  // Text, whose uid is Count, is playing
	KindLock   Kind = "lock"   // User locked (Text "true") or unlocked the playlist
	KindLeader Kind = "leader" // User became the leader; empty: the server

	KindMOTD        Kind = "motd"        // User set the message of the day to Text
	KindEmote       Kind = "emote"       // User changed or removed the emote Text
	KindPermissions Kind = "permissions" // User changed the permissions
	KindPoll        Kind = "poll"        // User started the poll Text
	KindVote        Kind = "vote"        // User voted for option Count
	KindPollClose   Kind = "pollclose"   // the poll ended
	KindVoteskip    Kind = "voteskip"    // User voted to skip; Count is the number of votes
)

// The kinds of entries of the server's log, which do not belong to a channel.
const (
	KindOpen         Kind = "open"          // Address connected to the namespace
	KindClose        Kind = "close"         // the connection of Address ended; User if it was logged in
	KindLimit        Kind = "limit"         // a connection of Address was refused; Text is the reason
	KindLogin        Kind = "login"         // Address logged in as User
	KindLoginRefused Kind = "login-refused" // the login of Address as User was refused; Text is the reason
	KindRestart      Kind = "restart"       // all connections were closed, new ones are for Count ms; Text may be "crash"
	KindPartition    Kind = "partition"     // Address, User or all connections were partitioned
	KindHeal         Kind = "heal"          // all partitions ended
	KindSlow         Kind = "slow"          // frames of Address, User or all connections are delayed by Count ms
	KindNoLogins     Kind = "no-logins"     // logins are refused for Count ms
	KindInject       Kind = "inject"        // a frame of Count bytes was injected for User
	KindDismiss      Kind = "dismiss"       // User was disconnected from the namespace without a reason
	KindDrop         Kind = "drop"          // User's connection was closed without a message
)

// Entry is an event in a channel or of the server.
type Entry struct {
	// Seq numbers the log's entries from 1, without gaps.
	Seq uint64 `json:"seq"`
	// Time is in Unix milliseconds. For chat and pm entries it is the time in the frame.
	Time int64  `json:"time"`
	Kind Kind   `json:"kind"`
	User string `json:"user,omitempty"`
	To   string `json:"to,omitempty"`
	// Text is the text that clients saw: HTML, escaped and with links.
	Text string `json:"text,omitempty"`
	// Class is the line's meta.addClass, e.g. "action" for /me.
	Class string `json:"class,omitempty"`
	// Count is the number of connections for usercount entries; for other kinds see there.
	Count int `json:"count,omitempty"`
	// Address is set in the server's log.
	Address string `json:"address,omitempty"`
}

// eventLog keeps the last entries. The server's lock guards it.
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
	// Dropping a tenth at a time keeps appends to a full log cheap.
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

// WaitFor returns the first entry with a sequence number above after that match accepts. It waits for the entry until
// ctx ends.
func (c *Channel) WaitFor(ctx context.Context, after uint64, match func(Entry) bool) (Entry, error) {
	e, err := c.srv.waitFor(ctx, c.log, after, match)
	if err != nil {
		return Entry{}, fmt.Errorf("channel %s: %w", c.name, err)
	}
	return e, nil
}

// Log returns the server's log, with connections, logins and faults, oldest first.
func (s *Server) Log() []Entry { return s.logAfter(0) }

func (s *Server) logAfter(seq uint64) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.after(seq)
}

// WaitFor is like Channel.WaitFor for the server's log.
func (s *Server) WaitFor(ctx context.Context, after uint64, match func(Entry) bool) (Entry, error) {
	return s.waitFor(ctx, s.log, after, match)
}

func (s *Server) waitFor(ctx context.Context, log *eventLog, after uint64, match func(Entry) bool) (Entry, error) {
	for {
		s.mu.Lock()
		entries, changed := log.after(after), log.changed
		s.mu.Unlock()
		for _, e := range entries {
			if match(e) {
				return e, nil
			}
			after = e.Seq
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Entry{}, fmt.Errorf("waiting for an entry after %d: %w", after, ctx.Err())
		}
	}
}
