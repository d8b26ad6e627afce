package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// retentionKeys are the settings of what is not kept forever, and what they are about.
var retentionKeys = map[store.RowKind]struct{ key, rows string }{
	store.PruneChat:       {"database.retention.chat", "lines of chat"},
	store.PruneUserCounts: {"database.retention.userCounts", "samples of the number of users"},
	store.PruneOutbound:   {"database.retention.outbound", "outbound lines"},
	store.PrunePeople:     {"database.retention.people", "users"},
}

// expiredText says which rows of a database the maintenance of a service with the retention removes when it starts.
// Whoever restores an old copy would lose them within a minute, and not know why.
func expiredText(ctx context.Context, database location, retention store.Retention) (text string, err error) {
	opened, err := database.openReadOnly(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	now := time.Now()
	var lines strings.Builder
	for _, rule := range retention.Rules(now) {
		rows, err := relationalStore(opened).Expired(ctx, rule)
		if err != nil {
			return "", err
		}
		if rows > 0 {
			key := retentionKeys[rule.Kind]
			kept := now.Sub(rule.Before).Round(time.Minute)
			fmt.Fprintf(&lines, "  %d %s are older than %s, which is %s\n", rows, key.rows, key.key, kept)
		}
	}
	if lines.Len() == 0 {
		return "", nil
	}
	return "\nThe service removes these rows within a minute after it starts:\n" + lines.String() +
		"To keep them, first set these keys to forever or to a longer time in its configuration.\n", nil
}
