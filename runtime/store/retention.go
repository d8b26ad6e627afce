package store

import (
	"fmt"
	"time"
)

// Retention is how long rows are kept. 0 is the default, below 0 for ever. Users, their joins and
// leaves, records, actions and messages that wait to be sent are always kept.
type Retention struct {
	Chat        time.Duration // default 150 hours
	UserCounts  time.Duration // default 30 days
	Outbound    time.Duration // sent or abandoned; default 7 days
	DeadLetters time.Duration // default 30 days
}

// MinRetention is the least that a Retention may say: the answer to a repeated request is in the rows
// that its first try left, and whoever repeats one must find them.
const MinRetention = time.Hour

const day = 24 * time.Hour

// Validate names the first field that is too short.
func (r Retention) Validate() error {
	for _, field := range []struct {
		name string
		kept time.Duration
	}{
		{"chat", r.Chat}, {"userCounts", r.UserCounts}, {"outbound", r.Outbound}, {"deadLetters", r.DeadLetters},
	} {
		if field.kept > 0 && field.kept < MinRetention {
			return fmt.Errorf("retention %s: %v, expected at least %v, or below 0 for ever",
				field.name, field.kept, MinRetention)
		}
	}
	return nil
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

// Rules are what a retention removes at now.
func (r Retention) Rules(now time.Time) []PruneRule {
	rules := []PruneRule{{PruneKV, now}}
	for _, each := range []struct {
		kind         Prunable
		kept         time.Duration
		defaultValue time.Duration
	}{
		{PruneChat, r.Chat, 150 * time.Hour},
		{PruneUserCounts, r.UserCounts, 30 * day},
		{PruneOutbound, r.Outbound, 7 * day},
		{PruneDeadLetters, r.DeadLetters, 30 * day},
	} {
		switch {
		case each.kept == 0:
			rules = append(rules, PruneRule{each.kind, now.Add(-each.defaultValue)})
		case each.kept > 0:
			rules = append(rules, PruneRule{each.kind, now.Add(-max(each.kept, MinRetention))})
		}
	}
	return rules
}
