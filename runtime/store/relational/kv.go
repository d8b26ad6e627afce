package relational

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// ofPlugin selects the keys of a plugin that have not expired.
	ofPlugin = ` FROM kv WHERE channel_id = ` + channelID + ` AND plugin = $3 AND (expires_at IS NULL OR expires_at > $4)`
	// unexpiredKey selects one of them.
	unexpiredKey = ofPlugin + ` AND key = $5`
)

func pluginArguments(key store.KVKey, now time.Time, others ...any) []any {
	return append(channelArguments(key.Channel, store.CleanText(key.Plugin), now.UnixMilli()), others...)
}

func keyArguments(key store.KVKey, now time.Time) []any {
	return pluginArguments(key, now, store.CleanText(key.Key))
}

// KVSet implements store.Store.
func (s Store) KVSet(ctx context.Context, entry store.KVEntry) (revision int64, err error) {
	entry.Value = store.CleanText(entry.Value)
	_, revision, err = s.setKey(ctx, entry, func(before storedKey, entry store.KVEntry) (store.KVEntry, error) {
		return entry, before.check(entry.IfRevision, entry.At)
	})
	if err != nil {
		return 0, fmt.Errorf("setting a key of plugin %q: %w", entry.Plugin, err)
	}
	return revision, nil
}

// KVAdd implements store.Store.
func (s Store) KVAdd(ctx context.Context, entry store.KVEntry, by int64) (sum store.KVValue, err error) {
	sum.Value, sum.Revision, err = s.setKey(ctx, entry,
		func(before storedKey, entry store.KVEntry) (_ store.KVEntry, err error) {
			var number int64
			if before.isThere(entry.At) {
				entry.Expires = before.expires()
				if number, err = strconv.ParseInt(before.short, 10, 64); err != nil {
					return entry, store.ErrNotWhole
				}
			}
			if by > 0 && number > math.MaxInt64-by || by < 0 && number < math.MinInt64-by {
				return entry, store.ErrOverflow
			}
			entry.Value = strconv.FormatInt(number+by, 10)
			return entry, nil
		})
	if err != nil {
		return store.KVValue{}, fmt.Errorf("adding to a key of plugin %q: %w", entry.Plugin, err)
	}
	return sum, nil
}

// setKey stores what prepare makes of an entry and of the key as it is. prepare may be called again.
func (s Store) setKey(
	ctx context.Context, entry store.KVEntry, prepare func(storedKey, store.KVEntry) (store.KVEntry, error),
) (value string, revision int64, err error) {
	entry.Plugin, entry.Key = store.CleanText(entry.Plugin), store.CleanText(entry.Key)
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		channel, _, err := s.findChannel(ctx, tx, entry.Channel)
		if err != nil {
			return err
		}
		keys := pluginKeys{tx, channel.id, entry.Plugin}
		usage, before, err := keys.lockKey(ctx, entry.Key)
		if err != nil {
			return err
		}
		prepared, err := prepare(before, entry)
		if err != nil {
			return err
		}
		value = prepared.Value
		revision, err = keys.set(ctx, usage, before, prepared)
		return err
	})
	return value, revision, err
}

// KVGet implements store.Store.
func (s Store) KVGet(
	ctx context.Context, key store.KVKey, now time.Time,
) (value store.KVValue, exists bool, err error) {
	value, exists, err = selectOne(ctx, s.db, `SELECT value, revision`+unexpiredKey, keyArguments(key, now),
		func(row *store.KVValue) []any { return []any{&row.Value, &row.Revision} })
	if err != nil {
		return store.KVValue{}, false, fmt.Errorf("getting a key of plugin %q: %w", key.Plugin, err)
	}
	return value, exists, nil
}

// KVDelete implements store.Store.
func (s Store) KVDelete(
	ctx context.Context, key store.KVKey, ifRevision *int64, now time.Time,
) (existed bool, err error) {
	arguments := keyArguments(key, now)
	channel, exists, err := selectOne(ctx, s.db, `SELECT channel_id`+unexpiredKey, arguments, scanValue[int64])
	switch {
	case err != nil:
	case !exists:
		err = storedKey{}.check(ifRevision, now)
	default:
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			keys := pluginKeys{tx, channel, store.CleanText(key.Plugin)}
			if _, before, err := keys.lockKey(ctx, store.CleanText(key.Key)); err != nil {
				return err
			} else if err := before.check(ifRevision, now); err != nil {
				return err
			}
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
func (s Store) KVList(ctx context.Context, query store.KVQuery) (rows []store.KVRow, more bool, err error) {
	prefix, after := store.CleanText(query.Key), store.CleanText(query.After)
	// Keys are ordered by their bytes, so those with the prefix follow it without a gap.
	from, first := ofPlugin+` AND key >= $5 ORDER BY key LIMIT $6`, prefix
	if after >= prefix && after != "" {
		from, first = ofPlugin+` AND key > $5 ORDER BY key LIMIT $6`, after
	}
	limit := max(query.Limit, 0)
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) (err error) {
		var sizes []int64
		rows, sizes, err = listKeys(ctx, tx, from, pluginArguments(query.KVKey, query.Now, first, limit+1))
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(rows, func(row store.KVRow) bool { return !strings.HasPrefix(row.Key, prefix) }); i >= 0 {
			rows = rows[:i]
		}
		count := min(len(rows), limit)
		if query.Values {
			count = fit(sizes[:count], int64(query.MaxBytes))
		}
		more = len(rows) > count
		rows = rows[:count]
		if !query.Values || count == 0 {
			return nil
		}
		values, err := Select(ctx, tx, `SELECT value`+from, pluginArguments(query.KVKey, query.Now, first, count),
			scanValue[string])
		for i, value := range values { // of the same snapshot
			rows[i].Value = value
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing keys of plugin %q: %w", query.Plugin, err)
	}
	return rows, more, nil
}

// listKeys returns keys without their values, and the size of each with its value.
func listKeys(
	ctx context.Context, tx Tx, from string, arguments []any,
) (rows []store.KVRow, sizes []int64, err error) {
	type sized struct {
		store.KVRow

		size int64
	}
	const columns = `SELECT key, revision, octet_length(key) + octet_length(value)`
	found, err := Select(ctx, tx, columns+from, arguments, func(row *sized) []any {
		return []any{&row.Key, &row.Revision, &row.size}
	})
	rows = make([]store.KVRow, 0, len(found))
	for _, row := range found {
		rows, sizes = append(rows, row.KVRow), append(sizes, row.size)
	}
	return rows, sizes, err
}
