package store

import (
	"context"
	"time"
)

// Queries read parts of what is stored about a channel. Each is bounded by a limit of its rows, or by the time that its
// span is long.
type Queries interface {
	// CountSteps returns the samples of the number of users, by steps of time that begin at multiples of step since 1970.
	// There is none for a step without samples.
	CountSteps(ctx context.Context, channel Channel, span Span, step time.Duration) ([]CountStep, error)
	// Joins returns the newest limit joins and leaves, the newest first. Names have the latest spelling, or that of the
	// key if the user was pruned.
	Joins(ctx context.Context, channel Channel, span Span, limit int) ([]Join, error)
	// Chat returns lines of chat.
	Chat(ctx context.Context, channel Channel, query ChatQuery) (ChatPage, error)
	// UserList returns users without what is derived from their sessions: Connected is that of imported data alone.
	UserList(ctx context.Context, channel Channel, query UserQuery) ([]User, error)
	// Watches returns the newest MaxPresence watches of a channel.
	Watches(ctx context.Context, channel Channel) (Watches, error)
	// UserTimes returns users with what is derived from their sessions, ordered by the folded name. None means that there
	// are no more.
	UserTimes(ctx context.Context, channel Channel, query TimesQuery) ([]UserTime, error)
	// ChatHours returns the hours in which a user wrote lines, ordered by time. Hours that are only partly in the span
	// count.
	ChatHours(ctx context.Context, channel Channel, name string, span Span) ([]HourCount, error)
	// ChannelHours returns in which hours users wrote lines and how many, ordered by time: those of users whose folded
	// names are not less than from and less than to. An empty to is no bound. Who was forgotten has no name.
	ChannelHours(ctx context.Context, channel Channel, from, to string) ([]HourCount, error)
	// Plays returns the newest limit plays, the newest first.
	Plays(ctx context.Context, channel Channel, query PlayQuery) ([]Play, error)
	// OutboundLines returns outbound messages, the newest first.
	OutboundLines(ctx context.Context, channel Channel, query OutboundListQuery) ([]OutboundRow, error)
	// PluginActions returns actions that plugins caused, the newest first.
	PluginActions(ctx context.Context, channel Channel, query PluginActionQuery) ([]PluginActionRow, error)
}

// Span is the time from From on and before To. A zero time is no bound.
type Span struct{ From, To time.Time }

// Position is the place of an event in a list that is ordered by time and, in a millisecond, by the ID.
type Position struct {
	At time.Time
	ID string
}

// CountStep are the samples of a step of time.
type CountStep struct {
	At time.Time // the beginning of the step
	// Samples is their number. The others are the sums and the maxima of them.
	Samples, Chat, Connected, MaxChat, MaxConnected int64
}

// Join is a stored UserJoined or UserLeft.
type Join struct {
	At       time.Time
	Username string
	Joined   bool
}

// ChatQuery selects lines of chat. They are ordered by time, the newest first unless Ascending.
type ChatQuery struct {
	Span

	Ascending bool
	// After leaves out all lines up to this one, in the order of the query. Nil: none.
	After *Position
	// Match selects lines. Nil: all.
	Match func(RecentLine) bool
	// Limit is the maximum number of lines, MaxBytes that of the bytes of their texts, except that the first line may be
	// larger, and MaxRead that of the lines that are read.
	Limit, MaxBytes, MaxRead int
	// Until is when no more lines are read. Zero: never.
	Until time.Time
}

// ChatPage are lines of chat in the order of the query.
type ChatPage struct {
	Lines []ChatRow
	// Read is the last line that was read, whether it matches or not. Nil: none was.
	Read *Position
	// More means that there may be more lines behind Read.
	More bool
}

// ChatRow is a stored ChatLine with its ID.
type ChatRow struct {
	ID string
	RecentLine
}

// UserOrder is an order of users, who are ordered by name where it does not tell.
type UserOrder string

// The orders of users.
const (
	OrderLines     UserOrder = "chat_lines"
	OrderFirstSeen UserOrder = "first_seen"
	OrderLastSeen  UserOrder = "last_seen"
	OrderName      UserOrder = "name_key"
)

// UserQuery selects users.
type UserQuery struct {
	Order UserOrder
	// Descending is by the largest number, the newest time or the last name first. Names are then ordered the other way
	// than the rest of the order.
	Descending bool
	// After leaves out all users up to this one, in the order of the query. Nil: none.
	After *UserPlace
	// Contains is a part of the folded name. Empty: any.
	Contains string
	// Names are folded names of users: only these are returned. Nil: all.
	Names []string
	Limit int
}

// UserPlace is the place of a user in a list.
type UserPlace struct {
	// Value is the number, or the time in milliseconds, by which users are ordered. 0 in OrderName.
	Value int64
	// Name is folded.
	Name string
}

// TimesQuery selects users whose folded names are greater than After: as many as are read until a time, but at least
// one.
type TimesQuery struct {
	Watches Watches // those of the channel
	After   string
	Until   time.Time
}

// UserTime is how long a user was in the channel.
type UserTime struct {
	Username     string
	Connected    time.Duration // as in User
	SessionStart *time.Time    // as in User
	// Longest is the longest session. An open one lasts until the user was last seen, and has this as its Leave. Zero:
	// there is none.
	Longest Session
}

// HourCount is the number of lines from At on.
type HourCount struct {
	At    time.Time
	Lines int64
}

// PlayQuery selects plays.
type PlayQuery struct {
	Span

	// After leaves out all plays up to this one, from the newest on. Nil: none.
	After *Position
	Limit int
}

// PluginActionQuery selects actions that plugins caused.
type PluginActionQuery struct {
	Span

	// Plugin is whose actions are selected. Empty: those of all plugins.
	Plugin string
	// After leaves out all actions up to this one, from the newest on. Nil: none.
	After *Position
	Limit int
}

// PluginActionRow is a stored Action that a plugin caused.
type PluginActionRow struct {
	ID string
	At time.Time
	// Username is Action.Username.
	Username string
	PluginAction
}

// OutboundListQuery selects outbound messages, the newest first.
type OutboundListQuery struct {
	// States are those that are selected at Now. Nil: all.
	States []OutboundState
	Now    time.Time
	// After leaves out all messages up to this one, from the newest on: the ID is a number. Nil: none.
	After *OutboundPlace
	Limit int
}

// OutboundPlace is the place of a message in the list.
type OutboundPlace struct {
	EnqueuedAt time.Time
	ID         int64
}

// OutboundState is what has become of an outbound message.
type OutboundState string

// The states of outbound messages.
const (
	OutboundIsWaiting   OutboundState = "waiting"
	OutboundIsClaimed   OutboundState = "claimed"
	OutboundIsSent      OutboundState = "sent"
	OutboundIsFailed    OutboundState = "failed" // abandoned
	OutboundIsCancelled OutboundState = "cancelled"
)

// OutboundRow is a stored outbound message.
type OutboundRow struct {
	ID         int64
	EnqueuedAt time.Time
	Text       string
	Asker      string // empty: unknown
	State      OutboundState
	// ChangedAt is when it was sent, abandoned or taken back, or when the last attempt failed. Zero: none of these.
	ChangedAt  time.Time
	RetryCount int
	LastError  string
}
