package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// pruneSQL removes up to ?2 rows from before ?1.
var pruneSQL = map[store.Prunable]string{
	store.PruneUserCounts: `DELETE FROM user_counts WHERE event_id IN (
SELECT event_id FROM user_counts WHERE channel_id IN (SELECT id FROM channels) AND at < ?1 LIMIT ?2)`,
	store.PruneOutbound: `DELETE FROM outbound WHERE id IN (
SELECT id FROM outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
  AND coalesce(sent_at, abandoned_at) < ?1 LIMIT ?2)`,
	store.PruneKV: `DELETE FROM kv WHERE (channel_id, plugin, key) IN (
SELECT channel_id, plugin, key FROM kv WHERE expires_at <= ?1 LIMIT ?2)`,
	store.PruneDeadLetters: `DELETE FROM dead_letters WHERE id IN (
SELECT id FROM dead_letters WHERE at < ?1 LIMIT ?2)`,
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, rule store.PruneRule, limit int) (removed int64, err error) {
	if rule.Kind == store.PruneChat {
		return s.pruneChat(ctx, rule.Before, limit)
	}
	query, known := pruneSQL[rule.Kind]
	if !known {
		return 0, fmt.Errorf("pruning: unknown kind of rows %q", rule.Kind)
	}
	return s.updateCounting(ctx, "pruning "+string(rule.Kind), query, rule.Before.UnixMilli(), limit)
}

// pruneChat removes the oldest lines of one channel and keeps in mind how far, so that a line that is
// repeated later is not taken for a new one.
func (s *Store) pruneChat(ctx context.Context, before time.Time, limit int) (removed int64, err error) {
	err = s.change(ctx, func(b *batch) error {
		// Up to the limit-th of the oldest lines. Others of its millisecond go with it, since the time is
		// all that is kept in mind.
		const find = `SELECT c.id, (SELECT max(at) FROM (
  SELECT at FROM chat WHERE channel_id = c.id AND at < ?1 ORDER BY at LIMIT ?2))
FROM channels c WHERE EXISTS (SELECT 1 FROM chat WHERE channel_id = c.id AND at < ?1) LIMIT 1`
		var channel, newest int64
		err := b.tx.QueryRowContext(ctx, find, before.UnixMilli(), limit).Scan(&channel, &newest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("finding old lines of chat: %w", err)
		}
		const mark = `UPDATE channels SET chat_pruned_to = max(chat_pruned_to, ?) WHERE id = ?`
		if _, err := b.tx.ExecContext(ctx, mark, newest, channel); err != nil {
			return fmt.Errorf("marking how far chat is pruned: %w", err)
		}
		result, err := b.tx.ExecContext(ctx, `DELETE FROM chat WHERE channel_id = ? AND at <= ?`, channel, newest)
		if err != nil {
			return fmt.Errorf("pruning chat: %w", err)
		}
		if removed, err = result.RowsAffected(); err != nil {
			return fmt.Errorf("counting pruned lines: %w", err)
		}
		return nil
	})
	return removed, err
}

// Optimize implements store.Store. There is no VACUUM: it would stop all writing for as long as it
// takes to copy the file, and need as much space again. Pages that became free are used again.
func (s *Store) Optimize(ctx context.Context) error {
	// The limit bounds how much of each index is read.
	return s.update(ctx, "optimizing the database", "PRAGMA analysis_limit = 1000; PRAGMA optimize")
}

// Size implements store.Store: the file with its write-ahead log.
func (s *Store) Size(context.Context) (size int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(s.path + suffix)
		switch {
		case err == nil:
			size += info.Size()
		case suffix == "" || !errors.Is(err, os.ErrNotExist):
			return 0, fmt.Errorf("measuring the database: %w", err)
		}
	}
	return size, nil
}
