package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// KVSet implements store.Store.
func (s *Store) KVSet(ctx context.Context, entry store.KVEntry) error {
	const query = `INSERT INTO kv (channel_id, plugin, key, value, created_at, updated_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) ON CONFLICT (channel_id, plugin, key) DO UPDATE SET
  value = excluded.value, updated_at = excluded.updated_at, expires_at = excluded.expires_at`
	var expires any
	if !entry.Expires.IsZero() {
		expires = entry.Expires.UnixMilli()
	}
	return s.change(ctx, func(b *batch) error {
		channel, err := b.channelID(ctx, entry.Channel)
		if err != nil {
			return err
		}
		_, err = b.tx.ExecContext(ctx, query,
			channel, entry.Plugin, entry.Key, entry.Value, entry.At.UnixMilli(), expires)
		if err != nil {
			return fmt.Errorf("setting a key of plugin %q: %w", entry.Plugin, err)
		}
		return nil
	})
}

// KVGet implements store.Store.
func (s *Store) KVGet(ctx context.Context, key store.KVKey, now time.Time) (value string, exists bool, err error) {
	const query = `SELECT value FROM kv WHERE channel_id = ` + inChannel + ` AND plugin = ?3 AND key = ?4
AND (expires_at IS NULL OR expires_at > ?5)`
	channel := key.Channel.Fold()
	row := s.read.QueryRowContext(ctx, query, channel.Server, channel.Name, key.Plugin, key.Key, now.UnixMilli())
	err = row.Scan(&value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("getting a key of plugin %q: %w", key.Plugin, err)
	}
	return value, true, nil
}

// KVDelete implements store.Store.
func (s *Store) KVDelete(ctx context.Context, key store.KVKey, now time.Time) (existed bool, err error) {
	const query = `DELETE FROM kv WHERE channel_id = ` + inChannel + ` AND plugin = ?3 AND key = ?4
AND (expires_at IS NULL OR expires_at > ?5)`
	channel := key.Channel.Fold()
	removed, err := s.updateCounting(ctx, fmt.Sprintf("deleting a key of plugin %q", key.Plugin), query,
		channel.Server, channel.Name, key.Plugin, key.Key, now.UnixMilli())
	return removed > 0, err
}

// KVList implements store.Store.
func (s *Store) KVList(
	ctx context.Context, prefix store.KVKey, limit int, now time.Time,
) (keys []string, more bool, err error) {
	// Keys are in the order of their bytes, so those with the prefix follow each other from it on.
	const query = `SELECT key FROM kv WHERE channel_id = ` + inChannel + ` AND plugin = ?4 AND key >= ?5
AND (expires_at IS NULL OR expires_at > ?6) ORDER BY key LIMIT ?3`
	limit = max(limit, 0)
	arguments := []any{limit + 1, prefix.Plugin, prefix.Key, now.UnixMilli()}
	keys, err = selectRows(ctx, s.read, query, prefix.Channel, arguments, func(key *string) []any { return []any{key} })
	if err != nil {
		return nil, false, fmt.Errorf("listing keys of plugin %q: %w", prefix.Plugin, err)
	}
	for i, key := range keys {
		if !strings.HasPrefix(key, prefix.Key) {
			keys = keys[:i]
			break
		}
	}
	if len(keys) > limit {
		return keys[:limit], true, nil
	}
	return keys, false, nil
}
