package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// expiredSQL counts the rows that pruneSQL and inTransaction remove for rules about all channels.
var expiredSQL = map[store.RowKind]string{
	store.PruneChat:       `SELECT count(*) FROM chat WHERE at < $1`,
	store.PruneUserCounts: `SELECT count(*) FROM user_counts WHERE at < $1`,
	store.PruneOutbound: `SELECT count(*) FROM outbound
WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL) AND coalesce(sent_at, abandoned_at) < $1`,
	store.PrunePeople: `SELECT count(*) FROM users u WHERE u.last_seen < $1 AND ` + isAbsent,
}

// Expired returns how many rows of what a channel has said and done a rule of a store.Retention would remove. Keys and
// dead letters, whose time is not configured, do not count.
func (s Store) Expired(ctx context.Context, rule store.PruneRule) (rows int64, err error) {
	query, known := expiredSQL[rule.Kind]
	if !known {
		return 0, nil
	}
	rows, _, err = selectOne(ctx, s.db, query, []any{rule.Before.UnixMilli()}, scanValue[int64])
	if err != nil {
		return 0, fmt.Errorf("counting rows of %s that are not kept: %w", rule.Kind, err)
	}
	return rows, nil
}
