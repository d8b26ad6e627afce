// Package store says what the database keeps and how it answers: events go in through Apply,
// which holds every rule about rows, and questions are answered from what the rows say.
package store

import "time"

// Channel is the key that every row belongs to.
type Channel struct {
	// Server is the CyTube site's base URL, lower case, without a trailing slash.
	Server string
	// Name is the channel's name; two spellings that differ in case are one channel.
	Name string
}

// Event is one thing that happened in a channel.
type Event struct {
	// ID is unique for the event: applying two events with one ID is applying one of them.
	// IDs of one channel sort by time.
	ID      string
	Channel Channel
	// At is when it happened, in milliseconds.
	At time.Time
	// Fact is what happened.
	Fact Fact
}

// Fact is what happened: one of the types of this file.
type Fact interface{ fact() }

// UserJoined says that a user came into the channel, or was there when the bot came.
type UserJoined struct{ Username string }

// UserLeft says that a user left the channel, or that the bot lost sight of them.
type UserLeft struct{ Username string }

// ChatLine is a line of chat.
type ChatLine struct {
	Username string
	// Text is HTML as CyTube sent it.
	Text string
}

// UserCount is a sample of how many were there.
type UserCount struct {
	// Chat counts the named users, Connected everybody.
	Chat, Connected int
}

// HighWater raises the channel's maxima.
type HighWater struct {
	Chat int
	// Connected is nil when it is not known.
	Connected *int
}

// Action says that a user did something with the bot.
type Action struct {
	Username string
	// Type is a word for the kind of action, for example ActionPMCommand.
	Type string
	// Details are for people.
	Details string
}

// ActionPMCommand is the Action.Type of a command by private message.
const ActionPMCommand = "pm_command"

// Status is the bot's state. A nil field leaves what is stored. The fields' names in JSON are those
// under which they are stored.
type Status struct {
	BotName               *string  `json:"bot_name,omitempty"`
	BotRank               *float64 `json:"bot_rank,omitempty"`
	BotAFK                *bool    `json:"bot_afk,omitempty"`
	ChannelName           *string  `json:"channel_name,omitempty"`
	CurrentChatUsers      *int     `json:"current_chat_users,omitempty"`
	CurrentConnectedUsers *int     `json:"current_connected_users,omitempty"`
	PlaylistItems         *int     `json:"playlist_items,omitempty"`
	CurrentMediaTitle     *string  `json:"current_media_title,omitempty"`
	CurrentMediaDuration  *int     `json:"current_media_duration,omitempty"` // seconds
	BotStartTime          *int64   `json:"bot_start_time,omitempty"`         // Unix seconds
	BotConnected          *bool    `json:"bot_connected,omitempty"`
	// WatchingSince is when the bot came and knew who was there. It is not a field with a last writer: each
	// stay of a bot has its own. Whoever was there has a UserJoined of this very moment.
	WatchingSince *time.Time `json:"-"`
}

// OutboundSent reports that an outbound message appeared in the channel. It wins over every failure of the message,
// whichever is applied first. Event.At is when it appeared; of several reports the earliest time is stored.
//
// The event's channel is not used. A message that does not exist is ignored.
type OutboundSent struct {
	// ID is OutboundMessage.ID.
	ID int64
	// EnqueuedAt is OutboundMessage.EnqueuedAt, compared in whole seconds. A message with this ID that was enqueued at
	// another time is another message, and the report is ignored: a restored database assigns IDs again. Zero: the ID
	// alone identifies the message.
	EnqueuedAt time.Time
}

// OutboundFailed reports that an attempt to send an outbound message failed. Event.At is when it failed: the back-off
// counts from there. Repeating the report changes nothing, and neither does a report of an earlier attempt, except that
// a permanent one still abandons the message. A claim that was made or renewed before Event.At ends.
//
// The event's channel is not used. A message that does not exist is ignored.
type OutboundFailed struct {
	// ID and EnqueuedAt identify the message as in OutboundSent.
	ID         int64
	EnqueuedAt time.Time
	// Attempts is how many attempts had failed before this one: OutboundMessage.RetryCount of the message as it was
	// claimed. Values outside 0 to MaxAttempts-1 count as the nearest of them.
	Attempts int
	// Error says why, for people.
	Error string
	// Permanent abandons the message at once.
	Permanent bool
}

func (UserJoined) fact()     {}
func (UserLeft) fact()       {}
func (ChatLine) fact()       {}
func (UserCount) fact()      {}
func (HighWater) fact()      {}
func (Status) fact()         {}
func (Action) fact()         {}
func (OutboundSent) fact()   {}
func (OutboundFailed) fact() {}
