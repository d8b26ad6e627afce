package store

import "time"

const (
	// MaxDeadLetters is how many dead letters are kept; the oldest go first. Whoever publishes nonsense
	// without end must not fill the disk.
	MaxDeadLetters = 10_000
	// MaxDeadLetterBytes is how much of a payload is kept.
	MaxDeadLetterBytes = 64 << 10
)

// DeadLetter is a message that could not become rows.
type DeadLetter struct {
	// ID is the store's. AddDeadLetters ignores it.
	ID int64
	// At is when the message arrived.
	At time.Time
	// Subject is without the bot's prefix.
	Subject string
	// MsgID is its NATS message id, empty when it had none. Two with one MsgID and Subject are one.
	MsgID string
	// Reason says in words why.
	Reason  string
	Payload []byte
	// Size is the payload's in bytes. More than len(Payload): what is kept was cut, and is of no use
	// to try again.
	Size int
}

// NewDeadLetter keeps no more of the payload than there is room for.
func NewDeadLetter(subject, msgID, reason string, payload []byte, at time.Time) DeadLetter {
	letter := DeadLetter{
		At: at, Subject: CleanText(subject), MsgID: CleanText(msgID), Reason: CleanText(reason),
		Payload: payload, Size: len(payload),
	}
	if len(payload) > MaxDeadLetterBytes {
		letter.Payload = payload[:MaxDeadLetterBytes]
	}
	return letter
}
