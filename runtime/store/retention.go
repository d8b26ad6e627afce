package store

import (
	"cmp"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/config"
)

// deadLetterRetention is how long dead letters are kept. It has no key in the configuration.
const deadLetterRetention = 30 * 24 * time.Hour

// Retention is how long rows are kept: zero is the default of the configuration, negative is forever, and anything
// shorter than config.MinRetention counts as that. Maxima, actions and outbound messages that are still to be sent are
// always kept.
type Retention struct {
	Chat       time.Duration
	UserCounts time.Duration
	Outbound   time.Duration // sent or abandoned
	Media      time.Duration
	People     time.Duration // counted from when they were last seen
}

// RowKind is a kind of row that is not kept forever.
type RowKind string

// The kinds of rows that are not kept forever.
const (
	PruneChat        RowKind = "chat"
	PruneUserCounts  RowKind = "user_counts"
	PruneMedia       RowKind = "media"
	PruneOutbound    RowKind = "outbound" // by the time when they were sent or abandoned
	PruneKV          RowKind = "kv"       // by the time when they expire
	PruneDeadLetters RowKind = "dead_letters"
	// PrunePeople are users by the time when they were last seen, with their joins, leaves and hours. A user who is in the
	// channel is kept.
	PrunePeople RowKind = "people"
)

// retentionKeys are the settings of how long rows are kept, and what the rows are. Other kinds have a fixed time.
var retentionKeys = map[RowKind]struct{ key, rows string }{
	PruneChat:       {"database.retention.chat", "lines of chat"},
	PruneUserCounts: {"database.retention.userCounts", "samples of the number of users"},
	PruneMedia:      {"database.retention.media", "reports of what was played"},
	PruneOutbound:   {"database.retention.outbound", "outbound lines"},
	PrunePeople:     {"database.retention.people", "users"},
}

// RetentionKey returns the key of the configuration that says how long rows of a kind are kept. Empty: there is none.
func (k RowKind) RetentionKey() string { return retentionKeys[k].key }

// Plural returns what rows of a kind with a RetentionKey are, for people: "lines of chat".
func (k RowKind) Plural() string { return retentionKeys[k].rows }

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
		{PruneMedia, r.Media, config.DefaultMediaRetention},
		{PruneOutbound, r.Outbound, config.DefaultOutboundRetention},
		{PrunePeople, r.People, config.DefaultPeopleRetention},
	} {
		if kept := cmp.Or(each.kept, each.defaultValue.Time()); kept > 0 {
			rules = append(rules, PruneRule{Kind: each.kind, Before: now.Add(-max(kept, config.MinRetention))})
		}
	}
	return rules
}

// FormatRetention returns a retention as it is written in a configuration.
func FormatRetention(kept time.Duration) string {
	if kept%time.Hour == 0 {
		return fmt.Sprintf("%dh", kept/time.Hour)
	}
	return kept.String()
}

// Removal is the announcement that a retention will remove rows of a kind.
type Removal struct {
	Kind RowKind
	// ServedBy is that of the rule.
	ServedBy string
	// Kept is the retention.
	Kept time.Duration
	// AnnouncedAt is when it was announced, in milliseconds.
	AnnouncedAt time.Time
}
