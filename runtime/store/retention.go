package store

import (
	"time"

	"rosey.dev/rosey/runtime/config"
)

// Retention is how long rows are kept: zero is the default of the configuration, negative is forever, and anything
// shorter than config.MinRetention counts as that. Users, their joins and leaves, records, actions and messages that
// wait to be sent are always kept.
type Retention struct {
	Chat        time.Duration
	UserCounts  time.Duration
	Outbound    time.Duration // sent or abandoned
	DeadLetters time.Duration // default 30 days; has no key in the configuration
}

// Prunable is a kind of row that does not stay for ever.
type Prunable string

// The kinds of rows that do not stay for ever.
const (
	PruneChat        Prunable = "chat"
	PruneUserCounts  Prunable = "user_counts"
	PruneOutbound    Prunable = "outbound" // sent or abandoned before
	PruneKV          Prunable = "kv"       // expired before
	PruneDeadLetters Prunable = "dead_letters"
)

// PruneRule removes the rows of a kind that are older than Before.
type PruneRule struct {
	Kind   Prunable
	Before time.Time
}

// Rules returns what a retention removes at now.
func (r Retention) Rules(now time.Time) []PruneRule {
	rules := []PruneRule{{PruneKV, now}}
	for _, each := range []struct {
		kind         Prunable
		kept         time.Duration
		defaultValue config.Duration
	}{
		{PruneChat, r.Chat, config.DefaultChatRetention},
		{PruneUserCounts, r.UserCounts, config.DefaultUserCountsRetention},
		{PruneOutbound, r.Outbound, config.DefaultOutboundRetention},
		{PruneDeadLetters, r.DeadLetters, "720h"},
	} {
		switch {
		case each.kept == 0:
			rules = append(rules, PruneRule{each.kind, now.Add(-each.defaultValue.Time())})
		case each.kept > 0:
			rules = append(rules, PruneRule{each.kind, now.Add(-max(each.kept, config.MinRetention))})
		}
	}
	return rules
}
