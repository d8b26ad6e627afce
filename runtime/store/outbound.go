package store

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

const (
	// ClaimDuration is how long a claim lasts. It bounds how long a message waits whose bot has died.
	ClaimDuration = time.Minute
	// MaxAttempts is after how many failures a message is abandoned.
	MaxAttempts = backoff.OutboundAttempts
	// MaxOffers is how often a message is handed out without a report before it is ordered behind all others. A client
	// that fails and never reports it, like the Python bot, must not get the same 20 messages forever.
	MaxOffers = 5
	// maxErrorBytes bounds OutboundFailed.Error, which every reply with the message contains from then on.
	maxErrorBytes = 1 << 10
)

// OutboundLine is a line to enqueue.
type OutboundLine struct {
	Text string
	// ClientID makes repeated requests one message. Empty: every request is a separate message.
	ClientID string
	At       time.Time
	// TraceParent is the W3C traceparent of the request, so that what becomes of the line belongs to its trace. Empty: it
	// is not traced.
	TraceParent string
	// Asker is who asked for the line, for people. Empty: unknown.
	Asker string
	// MaxWaiting bounds the messages of the channel that wait. With PostgreSQL, requests at the same time may exceed it by
	// their number. 0: no bound.
	MaxWaiting int
}

// OutboundMessage is a line that waits to be sent.
type OutboundMessage struct {
	ID         int64
	EnqueuedAt time.Time
	Text       string
	// RetryCount is how many attempts have failed.
	RetryCount int
	// LastError is empty if no attempt has failed.
	LastError string
	// ClaimedSince is when the message was first claimed since the last report. A claimant may have sent it without a
	// report. Zero: this is the first claim.
	ClaimedSince time.Time
	// TraceParent is OutboundLine.TraceParent.
	TraceParent string
}

// OutboundQuery selects messages that are due.
type OutboundQuery struct {
	// Limit is the maximum number of messages.
	Limit int
	// MaxBytes is the maximum size of their texts and errors, except that the first message may be larger. What does not
	// fit is not claimed. 0: no bound.
	MaxBytes int
	// MaxRetries leaves out messages with this many failures or more.
	MaxRetries int
	// Claimant claims the messages until Now plus ClaimDuration; it gets its own messages again, since the reply may
	// have been lost. Empty: nothing is claimed, and messages that are claimed are left out.
	Claimant string
	Now      time.Time
	// StoredUntil returns a time for which every OutboundSent and OutboundFailed that was published before it has been
	// applied. It is called at most once, and only if a message is due that was claimed before. Nil: all reports have
	// been applied.
	//
	// A report on a claimed message may not have been applied yet; handed out again, the message would be sent twice.
	// So if the time is before Now, messages whose claim ended after it are left out, and so are those that Claimant
	// itself has claimed: it may be a process that was restarted and does not know what it sent before. Messages that
	// were never claimed are not affected.
	StoredUntil func(ctx context.Context) time.Time
}

// OutboundSent reports that an outbound message appeared in the channel. It wins over every failure of the message,
// whichever is applied first. Event.At is when it appeared; of several reports the earliest time is stored.
//
// A message that does not exist in the event's channel is ignored.
type OutboundSent struct {
	// ID is OutboundMessage.ID.
	ID int64
	// EnqueuedAt is OutboundMessage.EnqueuedAt, compared in whole seconds. A message with this ID that was enqueued at
	// another time is a separate message, and the report is ignored: a restored database assigns IDs again. Zero: the ID
	// alone identifies the message.
	EnqueuedAt time.Time
}

// OutboundFailed reports that an attempt to send an outbound message failed. Event.At is when it failed: the back-off
// counts from there. Repeating the report changes nothing, and neither does a report of an earlier attempt, except that
// a permanent one still abandons the message. A claim that was made or renewed before Event.At ends.
//
// A message that does not exist in the event's channel is ignored.
type OutboundFailed struct {
	// ID and EnqueuedAt identify the message as in OutboundSent.
	ID         int64
	EnqueuedAt time.Time
	// Attempts is how many attempts had failed before this one: OutboundMessage.RetryCount of the message as it was
	// claimed. Values outside 0 to MaxAttempts-1 count as the nearest of them.
	Attempts int
	// Error says why, for people. At most 1 KiB of it is stored.
	Error string
	// Permanent abandons the message at once.
	Permanent bool
}
