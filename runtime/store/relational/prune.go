package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// pruneSQL removes up to $2 rows from before $1. What another service removes at this moment is left
// to it.
var pruneSQL = map[store.Prunable]string{
	store.PruneUserCounts: `DELETE FROM user_counts WHERE event_id IN (
SELECT event_id FROM user_counts WHERE channel_id IN (SELECT id FROM channels) AND at < $1 LIMIT $2%s)`,
	store.PruneOutbound: `DELETE FROM outbound WHERE id IN (
SELECT id FROM outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
  AND coalesce(sent_at, abandoned_at) < $1 LIMIT $2%s)`,
	store.PruneKV: `DELETE FROM kv WHERE (channel_id, plugin, key) IN (
SELECT channel_id, plugin, key FROM kv WHERE expires_at <= $1 LIMIT $2%s)`,
	store.PruneDeadLetters: `DELETE FROM dead_letters WHERE id IN (
SELECT id FROM dead_letters WHERE at < $1 LIMIT $2%s)`,
}

// Prune implements store.Store.
func (s Store) Prune(ctx context.Context, rule store.PruneRule, limit int) (removed int64, err error) {
	query, known := pruneSQL[rule.Kind]
	switch {
	case rule.Kind == store.PruneChat:
		err = s.db.Write(ctx, func(session Session) error {
			removed, err = pruneChat(ctx, session, rule.Before, limit)
			return err
		})
	case known:
		removed, err = s.db.Exec(ctx, fmt.Sprintf(query, s.db.SkipLocked()), rule.Before.UnixMilli(), limit)
	default:
		return 0, fmt.Errorf("pruning: unknown kind of rows %q", rule.Kind)
	}
	if err != nil {
		return 0, fmt.Errorf("pruning %s: %w", rule.Kind, err)
	}
	return removed, nil
}

// pruneChat removes the oldest lines of one channel and keeps in mind how far, so that a line that is
// repeated later is not taken for a new one.
func pruneChat(ctx context.Context, session Session, before time.Time, limit int) (removed int64, err error) {
	// Up to the limit-th of the oldest lines. Others of its millisecond go with it, since the time is
	// all that is kept in mind.
	const find = `SELECT c.id, (SELECT max(at) FROM (
  SELECT at FROM chat WHERE channel_id = c.id AND at < $1 ORDER BY at LIMIT $2) AS oldest)
FROM channels c WHERE EXISTS (SELECT 1 FROM chat WHERE channel_id = c.id AND at < $1) LIMIT 1`
	type oldLines struct{ channel, newest int64 }
	old, found, err := selectOne(ctx, session, find, []any{before.UnixMilli(), limit}, func(row *oldLines) []any {
		return []any{&row.channel, &row.newest}
	})
	if err != nil || !found {
		return 0, err
	}
	// First, since this waits for whoever adds lines to the channel: none of theirs is left behind the mark.
	const mark = `UPDATE channels SET chat_pruned_to = $1 WHERE id = $2 AND chat_pruned_to < $1`
	if _, err := session.Exec(ctx, mark, old.newest, old.channel); err != nil {
		return 0, fmt.Errorf("marking how far chat is pruned: %w", err)
	}
	return session.Exec(ctx, `DELETE FROM chat WHERE channel_id = $1 AND at <= $2`, old.channel, old.newest)
}
