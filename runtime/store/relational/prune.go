package relational

import (
	"context"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// prunedChannels is a subquery for the channels of a rule: $3 is its ServedBy.
const prunedChannels = `(SELECT id FROM channels
  WHERE CAST($3 AS TEXT) = '' OR coalesce(served_by, CAST($3 AS TEXT)) = CAST($3 AS TEXT))`

// pruneSQL removes up to $2 rows that are older than $1. Rows that another service is removing are left to it. The
// channels are also listed so that the indexes by channel and time can be used.
var pruneSQL = map[store.RowKind]string{
	store.PruneUserCounts: `DELETE FROM user_counts WHERE (event_id, channel_id) IN (
SELECT event_id, channel_id FROM user_counts WHERE channel_id IN ` + prunedChannels + ` AND at < $1 LIMIT $2%s)`,
	store.PruneMedia: `DELETE FROM media WHERE (event_id, channel_id) IN (
SELECT event_id, channel_id FROM media WHERE channel_id IN ` + prunedChannels + ` AND at < $1 LIMIT $2%s)`,
	store.PruneOutbound: `DELETE FROM outbound WHERE id IN (
SELECT id FROM outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
  AND coalesce(sent_at, abandoned_at) < $1 AND channel_id IN ` + prunedChannels + ` LIMIT $2%s)`,
	store.PruneDeadLetters: `DELETE FROM dead_letters WHERE id IN (
SELECT id FROM dead_letters WHERE at < $1 LIMIT $2%s)`,
}

// inTransaction are the kinds of rows that are removed together with other changes.
var inTransaction = map[store.RowKind]func(ctx context.Context, tx Tx, rule store.PruneRule, limit int) (int64, error){
	store.PruneChat: pruneChat, store.PrunePeople: prunePeople,
}

// Prune implements store.Store.
func (s Store) Prune(ctx context.Context, rule store.PruneRule, limit int) (removed int64, err error) {
	query, known := pruneSQL[rule.Kind]
	switch {
	case rule.Kind == store.PruneKV:
		removed, err = s.pruneKV(ctx, rule.Before, limit)
	case inTransaction[rule.Kind] != nil:
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			defer s.channels.forget()
			removed, err = inTransaction[rule.Kind](ctx, tx, rule, limit)
			return err
		})
	case known:
		arguments := []any{rule.Before.UnixMilli(), limit}
		if strings.Contains(query, "$3") {
			arguments = append(arguments, rule.ServedBy)
		}
		removed, err = s.db.Exec(ctx, fmt.Sprintf(query, s.db.SkipLocked()), arguments...)
	default:
		return 0, fmt.Errorf("pruning: unknown kind of rows %q", rule.Kind)
	}
	if err != nil {
		return 0, fmt.Errorf("pruning %s: %w", rule.Kind, err)
	}
	return removed, nil
}

// pruneChat removes the oldest lines of one channel and stores the time of the newest of them, so that a line that is
// repeated later is not stored and counted again.
func pruneChat(ctx context.Context, tx Tx, rule store.PruneRule, limit int) (removed int64, err error) {
	// Up to the limit-th of the oldest lines, and all others of its millisecond, since only the time is stored.
	const find = `SELECT c.id, (SELECT max(at) FROM (
  SELECT at FROM chat WHERE channel_id = c.id AND at < $1 ORDER BY at LIMIT $2) AS oldest)
FROM channels c WHERE c.id IN ` + prunedChannels + ` AND EXISTS (SELECT 1 FROM chat WHERE channel_id = c.id AND at < $1)
LIMIT 1`
	arguments := []any{rule.Before.UnixMilli(), limit, rule.ServedBy}
	type oldLines struct{ channel, newest int64 }
	old, found, err := selectOne(ctx, tx, find, arguments, func(row *oldLines) []any {
		return []any{&row.channel, &row.newest}
	})
	if err != nil || !found {
		return 0, err
	}
	// The update comes first: it waits for transactions that insert lines, so that none of theirs stays behind the mark.
	if _, err := tx.Exec(ctx, markPrunedSQL, old.newest, old.channel); err != nil {
		return 0, fmt.Errorf("storing how far chat is pruned: %w", err)
	}
	return tx.Exec(ctx, `DELETE FROM chat WHERE channel_id = $1 AND at <= $2`, old.channel, old.newest)
}

// markPrunedSQL stores the time of the newest chat line of a channel that was pruned.
const markPrunedSQL = `UPDATE channels SET chat_pruned_to = $1 WHERE id = $2 AND chat_pruned_to < $1`

// mergePrunedSQL takes the later of the times of two copies of a channel.
const mergePrunedSQL = `UPDATE channels SET
  chat_pruned_to = CASE WHEN chat_pruned_to < $2 THEN $2 ELSE chat_pruned_to END,
  people_pruned_to = CASE WHEN people_pruned_to < $3 THEN $3 ELSE people_pruned_to END,
  forgotten_to = CASE WHEN forgotten_to < $4 THEN $4 ELSE forgotten_to END
WHERE id = $1 AND (chat_pruned_to < $2 OR people_pruned_to < $3 OR forgotten_to < $4)`

// isAbsent is a condition for users u: not in the channel. A user whose newest event is a join is in the channel,
// unless a bot joined later and did not find them there.
const isAbsent = `coalesce((SELECT CASE WHEN p.joined AND p.at >= coalesce(
  (SELECT max(w.since) FROM watches w WHERE w.channel_id = u.channel_id), 0) THEN 1 ELSE 0 END
FROM presence p WHERE p.channel_id = u.channel_id AND p.user_key = u.name_key
ORDER BY p.at DESC, p.event_id DESC LIMIT 1), 0) = 0`

// prunePeople removes about limit rows of users of one channel, and stores when the newest of them was last seen, so
// that an event from before, which arrives late, does not bring back a part of what was known.
func prunePeople(ctx context.Context, tx Tx, rule store.PruneRule, limit int) (removed int64, err error) {
	const (
		find = `SELECT channel_id, max(last_seen) FROM (SELECT u.channel_id, u.last_seen FROM users u
WHERE u.last_seen < $1 AND u.channel_id IN ` + prunedChannels + ` AND ` + isAbsent + `
ORDER BY u.channel_id, u.last_seen LIMIT $2) AS oldest
GROUP BY channel_id ORDER BY channel_id LIMIT 1`
		// As with chat it comes first, and waits for transactions that store events of the channel.
		mark = `UPDATE channels SET people_pruned_to = CASE WHEN people_pruned_to < $1 THEN $1 ELSE people_pruned_to END
WHERE id = $2`
		names = `SELECT u.name_key FROM users u WHERE u.channel_id = $1 AND u.last_seen <= $2 AND ` + isAbsent + `
ORDER BY u.last_seen LIMIT $3`
	)
	type absent struct{ channel, lastSeen int64 }
	arguments := []any{rule.Before.UnixMilli(), limit, rule.ServedBy}
	old, found, err := selectOne(ctx, tx, find, arguments, func(row *absent) []any {
		return []any{&row.channel, &row.lastSeen}
	})
	if err != nil || !found {
		return 0, err
	}
	if _, err := tx.Exec(ctx, mark, old.lastSeen, old.channel); err != nil {
		return 0, fmt.Errorf("storing how far people are pruned: %w", err)
	}
	users, err := Select(ctx, tx, names, []any{old.channel, old.lastSeen, limit}, scanValue[string])
	for _, name := range users {
		if err != nil || removed >= int64(limit) {
			break
		}
		var count int64
		count, err = pruneUser(ctx, tx, old.channel, name, int64(limit)-removed)
		removed += count
	}
	return removed, err
}

// pruneUser removes up to limit of a user's joins and leaves, the oldest first, then of the hours, and then the user.
func pruneUser(ctx context.Context, tx Tx, channel int64, name string, limit int64) (removed int64, err error) {
	const (
		presence = `DELETE FROM presence WHERE (event_id, channel_id) IN (SELECT event_id, channel_id FROM presence
WHERE channel_id = $1 AND user_key = $2 ORDER BY at LIMIT $3)`
		hours = `DELETE FROM chat_hours WHERE channel_id = $1 AND user_key = $2 AND hour IN (SELECT hour FROM chat_hours
WHERE channel_id = $1 AND user_key = $2 ORDER BY hour LIMIT $3)`
		user = `DELETE FROM users WHERE channel_id = $1 AND name_key = $2`
	)
	for _, query := range []string{presence, hours} {
		count, err := tx.Exec(ctx, query, channel, name, limit-removed)
		removed += count
		if err != nil || removed == limit {
			return removed, err
		}
	}
	count, err := tx.Exec(ctx, user, channel, name)
	return removed + count, err
}

// expiredSQL counts the rows that pruneSQL and inTransaction remove. %s is a condition for the channel.
var expiredSQL = map[store.RowKind]string{
	store.PruneChat:       `SELECT count(*) FROM chat WHERE at < $1 AND %s`,
	store.PruneUserCounts: `SELECT count(*) FROM user_counts WHERE at < $1 AND %s`,
	store.PruneMedia:      `SELECT count(*) FROM media WHERE at < $1 AND %s`,
	store.PruneOutbound: `SELECT count(*) FROM outbound
WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL) AND coalesce(sent_at, abandoned_at) < $1 AND %s`,
	store.PrunePeople: `SELECT count(*) FROM users u WHERE u.last_seen < $1 AND %s AND ` + isAbsent,
}

// Expired implements store.Store.
func (s Store) Expired(ctx context.Context, rule store.PruneRule) (rows int64, err error) {
	query, known := expiredSQL[rule.Kind]
	if !known {
		return 0, nil
	}
	channels := "channel_id IN " + strings.ReplaceAll(prunedChannels, "$3", "$2")
	rows, _, err = selectOne(ctx, s.db, fmt.Sprintf(query, channels), []any{rule.Before.UnixMilli(), rule.ServedBy},
		scanValue[int64])
	if err != nil {
		return 0, fmt.Errorf("counting rows of %s that are not kept: %w", rule.Kind, err)
	}
	return rows, nil
}
