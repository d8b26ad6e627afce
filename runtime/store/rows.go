package store

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// RecentLine is a stored ChatLine.
type RecentLine struct {
	At       time.Time
	Username string
	// Text is HTML as CyTube sent it.
	Text string
}

// Chatter is a user and their number of chat lines.
type Chatter struct {
	Username string
	Lines    int
}

// Maxima are the largest numbers of users that a channel ever had, and since when. An unknown maximum is 0 at the zero
// time.
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

const (
	// MaxDeadLetterBytes is how much of a payload is stored.
	MaxDeadLetterBytes = 64 << 10
	// maxMsgIDBytes and maxReasonBytes bound the other texts of a dead letter.
	maxMsgIDBytes  = 512
	maxReasonBytes = 1 << 10
)

// DeadLetter is a message that could not be stored as rows.
type DeadLetter struct {
	// ID is assigned by AddDeadLetters.
	ID int64
	// At is when the message arrived.
	At time.Time
	// Prefix is the subject prefix of the service that received the message. Empty: the database has one service, or it
	// is not known.
	Prefix string
	// Subject is the subject without the prefix.
	Subject string
	// MsgID is the NATS message ID, empty if there was none. Of an ID of more than 512 bytes it is a hash. Dead letters
	// with the same Prefix, MsgID and Subject are the same.
	MsgID string
	// Reason says why, for people.
	Reason  string
	Payload []byte
	// Size is the payload's size in bytes. If it is above len(Payload), the payload was truncated and the message
	// cannot be processed again.
	Size int
}

// NewDeadLetter returns a dead letter with at most MaxDeadLetterBytes of the payload.
func NewDeadLetter(subject, msgID, reason string, payload []byte, at time.Time) DeadLetter {
	if len(msgID) > maxMsgIDBytes {
		msgID = fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(msgID)))
	}
	deadLetter := DeadLetter{
		At: at, Subject: CleanText(subject), MsgID: CleanText(msgID), Reason: TruncateText(reason, maxReasonBytes),
		Payload: payload, Size: len(payload),
	}
	if len(payload) > MaxDeadLetterBytes {
		deadLetter.Payload = payload[:MaxDeadLetterBytes]
	}
	return deadLetter
}
