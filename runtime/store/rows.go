package store

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/config"
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

// KVKey identifies a value of a plugin. Plugin and Key are case-sensitive.
type KVKey struct {
	Channel     Channel
	Plugin, Key string
}

// KVEntry is a value to store.
type KVEntry struct {
	KVKey

	// Value is JSON.
	Value string
	At    time.Time
	// Expires is when the value expires. Zero: never.
	Expires time.Time
	// Quota bounds what is stored. Its zero value is no bound.
	Quota KVQuota
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
	// MsgID is the NATS message ID, empty if there was none. Dead letters with the same Prefix, MsgID and Subject are the
	// same.
	// Of an ID of more than 512 bytes it is a hash.
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

// deadLetterRetention is how long dead letters are kept. It has no key in the configuration.
const deadLetterRetention = 30 * 24 * time.Hour

// Retention is how long rows are kept: zero is the default of the configuration, negative is forever, and anything
// shorter than config.MinRetention counts as that. Maxima, actions and outbound messages that are still to be sent are
// always kept.
type Retention struct {
	Chat       time.Duration
	UserCounts time.Duration
	Outbound   time.Duration // sent or abandoned
	People     time.Duration // counted from when they were last seen
}

// RowKind is a kind of row that is not kept forever.
type RowKind string

// The kinds of rows that are not kept forever.
const (
	PruneChat        RowKind = "chat"
	PruneUserCounts  RowKind = "user_counts"
	PruneOutbound    RowKind = "outbound" // by the time when they were sent or abandoned
	PruneKV          RowKind = "kv"       // by the time when they expire
	PruneDeadLetters RowKind = "dead_letters"
	// PrunePeople are users by the time when they were last seen, with their joins and leaves. A user who is in the
	// channel is kept.
	PrunePeople RowKind = "people"
)

// PruneRule matches the rows of a kind that are older than Before.
type PruneRule struct {
	Kind   RowKind
	Before time.Time
	// ServedBy leaves out the rows of channels that a service of another prefix has served last, which has its own
	// retention. Empty: all channels. It does not matter for keys and dead letters, whose time is not configured.
	ServedBy string
}

// NoService is a value of PruneRule.ServedBy that is no prefix: only channels that no service has served match.
const NoService = "-"

// Rules returns which rows are to be removed at now.
func (r Retention) Rules(now time.Time) []PruneRule {
	rules := []PruneRule{{Kind: PruneKV, Before: now}, {Kind: PruneDeadLetters, Before: now.Add(-deadLetterRetention)}}
	for _, each := range []struct {
		kind         RowKind
		kept         time.Duration
		defaultValue config.Duration
	}{
		{PruneChat, r.Chat, config.DefaultChatRetention},
		{PruneUserCounts, r.UserCounts, config.DefaultUserCountsRetention},
		{PruneOutbound, r.Outbound, config.DefaultOutboundRetention},
		{PrunePeople, r.People, config.DefaultPeopleRetention},
	} {
		if kept := cmp.Or(each.kept, each.defaultValue.Time()); kept > 0 {
			rules = append(rules, PruneRule{Kind: each.kind, Before: now.Add(-max(kept, config.MinRetention))})
		}
	}
	return rules
}
