package store

import (
	"context"
	"time"
)

const (
	// OutboundLease is how long a claimed message is its claimant's. It bounds how long a line waits
	// whose bot died with it.
	OutboundLease = time.Minute
	// MaxAttempts is after how many failures a message is abandoned: the first attempt, and those after
	// 2, 4 and 8 minutes.
	MaxAttempts = 4
	// MaxOffers is how often a message is handed out in its turn without anything being said of it.
	// Then it comes behind all others: a client that keeps failing and never says so, like the Python
	// bot, must not ask for the same 20 for ever.
	MaxOffers = 5
)

// OutboundQuery asks for messages that wait to be sent.
type OutboundQuery struct {
	// Limit is the most messages of the answer.
	Limit int
	// MaxRetries leaves out messages that failed so often or more.
	MaxRetries int
	// Claimant takes what it gets until Now plus OutboundLease. Empty: takes nothing.
	Claimant string
	Now      time.Time
	// AppliedUntil returns a time for which every OutboundSent and OutboundFailed that was published before it has been
	// applied. It is called at most once, and only if a message is due that was claimed before. Nil: all reports have
	// been applied.
	//
	// A report on a claimed message may still be on its way, and a message that is handed out again would be said twice.
	// So if the time is before Now, messages whose claim ended after it are left out, and so are those that Claimant
	// itself has claimed: it may be a process that was restarted and does not know what it sent before. Messages that
	// nobody has claimed are not affected.
	AppliedUntil func(ctx context.Context) time.Time
}

// OutboundMessage is a line that waits for the bot to say it.
type OutboundMessage struct {
	ID         int64
	EnqueuedAt time.Time
	Text       string
	RetryCount int
	// LastError is empty when there was none.
	LastError string
	// ClaimedSince is when a claimant first got it since something was said of it: whoever it was may have
	// sent it. The zero time when nobody got it before.
	ClaimedSince time.Time
}

// OutboundLine is a line for the bot to say.
type OutboundLine struct {
	Text string
	// ClientID makes it one line however often it is enqueued. Empty: always another line.
	ClientID string
	At       time.Time
}

// OutboundFailure says that a message could not be sent.
type OutboundFailure struct {
	ID    int64
	Error string
	// Permanent abandons the message at once.
	Permanent bool
	// RetryCount is that of the message as it was got; another makes the failure one that is known
	// already. Nil: it is new.
	RetryCount *int
	// Claimant is who tried. When somebody else has the message by now, the failure is ignored.
	// Empty: it is not.
	Claimant string
	At       time.Time
}
