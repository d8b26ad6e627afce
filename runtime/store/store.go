package store

import (
	"context"
	"errors"
	"time"
)

// ErrRejected says that Apply failed because of what the events say: storing them again fails again.
// Every other error of Apply means that the store is away, and the same events may be stored later.
var ErrRejected = errors.New("the database rejects the data")

// Store keeps the rows of any number of channels. It is safe for concurrent use.
// Names of channels and users are compared without regard to case.
type Store interface {
	// Apply stores events in one transaction: all of them or, with an error, none.
	// The order of events and their repetition do not change what the tables say in the end.
	// An event without a user's name where one belongs is left out.
	Apply(ctx context.Context, events []Event) error

	// Outbound returns up to limit messages of a channel that wait to be sent and whose back-off
	// has passed at now, oldest first. Messages that failed maxRetries times are left out.
	Outbound(ctx context.Context, channel Channel, limit, maxRetries int, now time.Time) ([]OutboundMessage, error)
	// MarkSent notes that a message was sent. An unknown id is not an error.
	MarkSent(ctx context.Context, id int64, at time.Time) error
	// Enqueue adds a message to be sent and returns its id.
	Enqueue(ctx context.Context, channel Channel, text string, at time.Time) (int64, error)

	// RecentChat returns the newest limit lines of a channel, oldest first.
	RecentChat(ctx context.Context, channel Channel, limit int) ([]RecentLine, error)
	// TopChatters returns the users with most lines, most first.
	TopChatters(ctx context.Context, channel Channel, limit int) ([]Chatter, error)
	// Users returns everybody who was ever seen in the channel, by name.
	Users(ctx context.Context, channel Channel) ([]User, error)
	// HighWater returns the channel's maxima.
	HighWater(ctx context.Context, channel Channel) (Maxima, error)
	// UserCounts returns the newest limit samples of a channel, oldest first.
	UserCounts(ctx context.Context, channel Channel, limit int) ([]CountSample, error)
	// Status returns the bot's state. What was never told is nil.
	Status(ctx context.Context, channel Channel) (Status, error)

	// Close ends the store. Nothing may be called afterwards.
	Close() error
}

// OutboundMessage is a line that waits for the bot to say it.
type OutboundMessage struct {
	ID         int64
	EnqueuedAt time.Time
	Text       string
	RetryCount int
	// LastError is empty when there was none.
	LastError string
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
