package store

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store, for errors.Is. Each wraps what the database said.
var (
	// ErrRejected says that Apply failed because of what the events say: storing them again fails again.
	// Every other error of Apply means that the store is away, and the same events may be stored later.
	ErrRejected = errors.New("the database rejects the data")
	// ErrFull says that there is no space left for the database.
	ErrFull = errors.New("no space is left for the database")
	// ErrNewerSchema says that a later version of the program has changed the database.
	ErrNewerSchema = errors.New("the database is of a later version")
	// ErrMigration says that the database's schema could not be brought up to date.
	ErrMigration = errors.New("the database's schema cannot be brought up to date")
	// ErrURLAbsent says that there is no URL of the database, or none that can be read.
	ErrURLAbsent = errors.New("there is no URL of the database")
	// ErrRefused says that the database server does not let us in, has no such database, or does not
	// permit what we need.
	ErrRefused = errors.New("the database server refuses us")
)

// Store keeps the rows of any number of channels. It is safe for concurrent use.
// Names of channels and users are compared without regard to case.
type Store interface {
	// Apply stores events in one transaction: all of them or, with an error, none.
	// The order of events and their repetition do not change what the tables say in the end.
	// An event without a user's name where one belongs is left out, and so is a line of chat from
	// before the newest one that was pruned: it may have been stored and counted already.
	Apply(ctx context.Context, events []Event) error

	Outbox
	Queries
	KeyValue
	Upkeep

	// Identity is a UUID that the database was given when it was made. Copies of the database keep it,
	// no other database has it.
	Identity(ctx context.Context) (string, error)

	// Close ends the store. Nothing may be called afterwards.
	Close() error
}

// Outbox is the lines that the bot shall say. A line waits, is claimed, and is sent or fails; having
// failed, it waits 2, 4 and then 8 minutes from the last attempt, and after MaxAttempts it is abandoned.
type Outbox interface {
	// Enqueue adds a line to be sent and returns its id, or that of the line with the same client id.
	Enqueue(ctx context.Context, channel Channel, line OutboundLine) (int64, error)
	// Outbound returns messages of a channel that wait to be sent, whose back-off has passed and that
	// no other claimant has: oldest first, but behind all others those that were handed out MaxOffers
	// times and nothing was said of since.
	Outbound(ctx context.Context, channel Channel, query OutboundQuery) ([]OutboundMessage, error)
	// MarkSent notes that a message was sent, whatever was said of it before. An unknown id is not an
	// error.
	MarkSent(ctx context.Context, id int64, at time.Time) error
	// MarkFailed notes that a message could not be sent. One that is unknown, sent or abandoned is not
	// an error.
	MarkFailed(ctx context.Context, failure OutboundFailure) error
}

// Queries are answered from the rows.
type Queries interface {
	// RecentChat returns the newest limit lines of a channel, oldest first.
	RecentChat(ctx context.Context, channel Channel, limit int) ([]RecentLine, error)
	// TopChatters returns the users with most lines, most first.
	TopChatters(ctx context.Context, channel Channel, limit int) ([]Chatter, error)
	// Users returns everybody who was ever seen in the channel, by name.
	Users(ctx context.Context, channel Channel) ([]User, error)
	// User returns one of Users. seen is false when there is none of that name.
	User(ctx context.Context, channel Channel, name string) (user User, seen bool, err error)
	// CountUsers is the number of Users.
	CountUsers(ctx context.Context, channel Channel) (int, error)
	// HighWater returns the channel's maxima.
	HighWater(ctx context.Context, channel Channel) (Maxima, error)
	// UserCounts returns the newest limit samples of a channel, oldest first.
	UserCounts(ctx context.Context, channel Channel, limit int) ([]CountSample, error)
	// Status returns the bot's state. What was never told is nil.
	Status(ctx context.Context, channel Channel) (Status, error)
	// Actions returns the newest limit actions of a channel, oldest first.
	Actions(ctx context.Context, channel Channel, limit int) ([]PastAction, error)
}

// KeyValue is what plugins keep.
type KeyValue interface {
	// KVSet replaces value and expiry of a key.
	KVSet(ctx context.Context, entry KVEntry) error
	// KVGet returns a value as it was set. exists is false when there is none, or none at now any more.
	KVGet(ctx context.Context, key KVKey, now time.Time) (value string, exists bool, err error)
	// KVDelete removes a value. existed is as in KVGet.
	KVDelete(ctx context.Context, key KVKey, now time.Time) (existed bool, err error)
	// KVList returns up to limit keys that begin with the key's name, in the order of their bytes, and
	// whether there are more.
	KVList(ctx context.Context, prefix KVKey, limit int, now time.Time) (keys []string, more bool, err error)
}

// Upkeep keeps the database in order.
type Upkeep interface {
	// Prune removes about limit of the oldest rows that a rule is about, in one transaction. It returns
	// how many; 0 means that the rule is done. Do it in small steps: nothing is written meanwhile.
	Prune(ctx context.Context, rule PruneRule, limit int) (removed int64, err error)
	// Optimize brings the statistics up to date from which the database plans its queries.
	Optimize(ctx context.Context) error
	// Size is how many bytes the database takes.
	Size(ctx context.Context) (int64, error)

	// AddDeadLetters keeps messages that could not become rows.
	AddDeadLetters(ctx context.Context, letters []DeadLetter) error
	// DeadLetters returns up to limit of them with an id above after, by id.
	DeadLetters(ctx context.Context, after int64, limit int) ([]DeadLetter, error)
	// DropDeadLetter removes one. existed is false when it was not there.
	DropDeadLetter(ctx context.Context, id int64) (existed bool, err error)
}

// RecentLine is a stored line of chat.
type RecentLine struct {
	At       time.Time
	Username string
	// Text is HTML as CyTube sent it.
	Text string
}

// Chatter is a user and how many lines they wrote.
type Chatter struct {
	Username string
	Lines    int
}

// User is what is known about somebody.
type User struct {
	// Username is spelled as it was last.
	Username            string
	FirstSeen, LastSeen time.Time
	Lines               int
	// Connected is how long they were in the channel, all sessions together, the open one up to LastSeen.
	Connected time.Duration
	// Sessions are when they were there, oldest first.
	Sessions []Session
	// SessionStart is when the open session began; nil when they are not there.
	SessionStart *time.Time
}

// Maxima are the most people that were in a channel at once, and since when the record stands.
// A record that was never told is 0 at the zero time.
type Maxima struct {
	Chat        int
	ChatAt      time.Time
	Connected   int
	ConnectedAt time.Time
}

// CountSample is a stored UserCount.
type CountSample struct {
	At              time.Time
	Chat, Connected int
}

// PastAction is a stored Action.
type PastAction struct {
	At time.Time
	Action
}
