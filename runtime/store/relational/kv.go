package relational

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// unexpiredKey selects a key that has not expired.
const unexpiredKey = ` FROM kv WHERE channel_id = ` + channelID + ` AND plugin = $3 AND key = $4
AND (expires_at IS NULL OR expires_at > $5)`

func keyArguments(key store.KVKey, now time.Time) []any {
	return channelArguments(key.Channel, store.CleanText(key.Plugin), store.CleanText(key.Key), now.UnixMilli())
}

// KVSet implements store.Store.
func (s Store) KVSet(ctx context.Context, entry store.KVEntry) error {
	entry.Plugin, entry.Key = store.CleanText(entry.Plugin), store.CleanText(entry.Key)
	entry.Value = store.CleanText(entry.Value)
	err := s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		channel, _, err := s.findChannel(ctx, tx, entry.Channel)
		if err != nil {
			return err
		}
		return pluginKeys{tx, channel.id, entry.Plugin}.set(ctx, entry)
	})
	if err != nil {
		return fmt.Errorf("setting a key of plugin %q: %w", entry.Plugin, err)
	}
	return nil
}

// KVGet implements store.Store.
func (s Store) KVGet(ctx context.Context, key store.KVKey, now time.Time) (value string, exists bool, err error) {
	value, exists, err = selectOne(ctx, s.db, `SELECT value`+unexpiredKey, keyArguments(key, now), scanValue[string])
	if err != nil {
		return "", false, fmt.Errorf("getting a key of plugin %q: %w", key.Plugin, err)
	}
	return value, exists, nil
}

// KVDelete implements store.Store.
func (s Store) KVDelete(ctx context.Context, key store.KVKey, now time.Time) (existed bool, err error) {
	arguments := keyArguments(key, now)
	channel, exists, err := selectOne(ctx, s.db, `SELECT channel_id`+unexpiredKey, arguments, scanValue[int64])
	if err == nil && exists {
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			keys := pluginKeys{tx, channel, store.CleanText(key.Plugin)}
			removed, err := keys.remove(ctx, unexpiredKey, arguments)
			existed = removed > 0
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("deleting a key of plugin %q: %w", key.Plugin, err)
	}
	return existed, nil
}

// KVList implements store.Store.
func (s Store) KVList(
	ctx context.Context, prefix store.KVKey, limit int, now time.Time,
) (keys []string, more bool, err error) {
	// Keys are ordered by their bytes, so those with the prefix follow it without a gap.
	const query = `SELECT key FROM kv WHERE channel_id = ` + channelID + ` AND plugin = $3 AND key >= $4
AND (expires_at IS NULL OR expires_at > $5) ORDER BY key LIMIT $6`
	limit = max(limit, 0)
	keys, err = Select(ctx, s.db, query, append(keyArguments(prefix, now), limit+1), scanValue[string])
	if err != nil {
		return nil, false, fmt.Errorf("listing keys of plugin %q: %w", prefix.Plugin, err)
	}
	for i, key := range keys {
		if !strings.HasPrefix(key, store.CleanText(prefix.Key)) {
			keys = keys[:i]
			break
		}
	}
	if len(keys) > limit {
		return keys[:limit], true, nil
	}
	return keys, false, nil
}
