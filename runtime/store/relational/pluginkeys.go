package relational

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// kvSize is what a key counts towards a quota.
var kvSize = size("plugin", "key", "value")

// pluginKeys changes the keys of a plugin in a channel together with the row of kv_usage that counts them. Every change
// locks this row first, so that the count is exact and writers do not deadlock.
type pluginKeys struct {
	tx      Tx
	channel int64
	plugin  string
}

// kvUsage is a number of keys and their size.
type kvUsage struct{ keys, bytes int64 }

func scanKVUsage(usage *kvUsage) []any { return []any{&usage.keys, &usage.bytes} }

// storedKey is a key as it is stored. Its zero value is that of a key that is not.
type storedKey struct {
	size, revision int64
	// expiresAt is in milliseconds: neverExpires if the value does not expire.
	expiresAt int64
	// short is the value if it could be a number, else empty.
	short string
}

const (
	neverExpires = math.MaxInt64
	// maxNumber is the size of the longest number of 64 bits.
	maxNumber = 20
)

// isThere reports whether the key exists at a time.
func (k storedKey) isThere(at time.Time) bool { return k.expiresAt > at.UnixMilli() }

// expires returns when the value expires. Zero: never.
func (k storedKey) expires() time.Time {
	if k.expiresAt == neverExpires {
		return time.Time{}
	}
	return time.UnixMilli(k.expiresAt)
}

// check returns a KVConflictError unless the key has a revision at a time. Nil: any will do.
func (k storedKey) check(expected *int64, at time.Time) error {
	if expected == nil {
		return nil
	}
	exists, revision := k.isThere(at), int64(0)
	if exists {
		revision = k.revision
	}
	if revision != *expected || exists && *expected == 0 {
		return &store.KVConflictError{Revision: revision, Expected: *expected}
	}
	return nil
}

// lockKey locks the keys of the plugin, and returns what is stored and a key.
func (k pluginKeys) lockKey(ctx context.Context, key string) (usage kvUsage, stored storedKey, err error) {
	query := fmt.Sprintf(`SELECT %s, revision, coalesce(expires_at, %d),
  CASE WHEN octet_length(value) <= %d THEN value ELSE '' END
FROM kv WHERE channel_id = $1 AND plugin = $2 AND key = $3`, kvSize, int64(neverExpires), maxNumber)
	if usage, err = k.lock(ctx); err != nil {
		return usage, stored, err
	}
	stored, _, err = selectOne(ctx, k.tx, query, []any{k.channel, k.plugin, key}, func(row *storedKey) []any {
		return []any{&row.size, &row.revision, &row.expiresAt, &row.short}
	})
	return usage, stored, err
}

// set stores an entry unless its quota refuses it, and returns the revision. usage and before are what lockKey has
// returned.
func (k pluginKeys) set(
	ctx context.Context, usage kvUsage, before storedKey, entry store.KVEntry,
) (revision int64, err error) {
	const query = `INSERT INTO kv (channel_id, plugin, key, value, created_at, updated_at, expires_at, revision)
VALUES ($1, $2, $3, $4, $5, $5, $6, $7) ON CONFLICT (channel_id, plugin, key) DO UPDATE SET value = excluded.value,
  updated_at = excluded.updated_at, expires_at = excluded.expires_at, revision = excluded.revision`
	after, err := k.usageWith(ctx, usage, before, entry)
	if _, exceeded := errors.AsType[*store.QuotaError](err); exceeded {
		// Expired keys that maintenance has not removed yet must not keep a plugin from storing others.
		if _, err := k.remove(ctx, ` FROM kv WHERE channel_id = $1 AND plugin = $2 AND expires_at <= $3`,
			[]any{k.channel, k.plugin, entry.At.UnixMilli()}); err != nil {
			return 0, err
		}
		if usage, before, err = k.lockKey(ctx, entry.Key); err != nil {
			return 0, err
		}
		after, err = k.usageWith(ctx, usage, before, entry)
	}
	if err != nil {
		return 0, err
	}
	if revision, err = k.nextRevision(ctx, entry.At); err != nil {
		return 0, err
	}
	var expires any
	if !entry.Expires.IsZero() {
		expires = entry.Expires.UnixMilli()
	}
	if _, err := k.tx.Exec(ctx, query, k.channel, k.plugin, entry.Key, entry.Value, entry.At.UnixMilli(),
		expires, revision); err != nil {
		return 0, err
	}
	return revision, k.save(ctx, after)
}

// nextRevision returns the revision of a value that is stored at a time.
func (k pluginKeys) nextRevision(ctx context.Context, at time.Time) (revision int64, err error) {
	const query = `INSERT INTO kv_revisions (channel_id, last) VALUES ($1, $2)
ON CONFLICT (channel_id) DO UPDATE SET
  last = CASE WHEN excluded.last > kv_revisions.last THEN excluded.last ELSE kv_revisions.last + 1 END RETURNING last`
	revision, _, err = selectOne(ctx, k.tx, query, []any{k.channel, at.UnixMicro()}, scanValue[int64])
	return revision, err
}

// usageWith returns what the plugin will have stored with an entry, or a QuotaError.
func (k pluginKeys) usageWith(
	ctx context.Context, usage kvUsage, before storedKey, entry store.KVEntry,
) (kvUsage, error) {
	isNewPlugin, isNewKey := usage.keys == 0, before.size == 0
	growth := int64(len(entry.Plugin)+len(entry.Key)+len(entry.Value)) + config.RowOverhead - before.size
	usage.bytes += growth
	if isNewKey {
		usage.keys++
		if err := within("kvKeys", usage.keys, entry.Quota.Keys); err != nil {
			return usage, err
		}
	}
	if growth <= 0 {
		return usage, nil
	}
	if err := within("kvBytes", usage.bytes, entry.Quota.Bytes); err != nil {
		return usage, err
	}
	return usage, k.checkChannel(ctx, entry.Quota, usage, isNewPlugin)
}

// checkChannel compares what all plugins of the channel have stored with the quota.
func (k pluginKeys) checkChannel(ctx context.Context, quota store.KVQuota, usage kvUsage, isNewPlugin bool) error {
	if quota.Plugins == 0 && quota.ChannelBytes == 0 {
		return nil
	}
	const query = `SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM kv_usage
WHERE channel_id = $1 AND plugin <> $2`
	type others struct{ plugins, bytes int64 }
	other, _, err := selectOne(ctx, k.tx, query, []any{k.channel, k.plugin}, func(row *others) []any {
		return []any{&row.plugins, &row.bytes}
	})
	if err != nil {
		return err
	}
	if isNewPlugin {
		if err := within("kvPlugins", other.plugins+1, quota.Plugins); err != nil {
			return err
		}
	}
	return within("kvChannelBytes", other.bytes+usage.bytes, quota.ChannelBytes)
}

// within returns a QuotaError if needed is more than a quota that is not 0.
func within(limit string, needed int64, quota int) error {
	if quota > 0 && needed > int64(quota) {
		return &store.QuotaError{Limit: limit, Needed: needed, Allowed: int64(quota)}
	}
	return nil
}

// remove removes keys of the plugin and returns their number. from begins with FROM.
func (k pluginKeys) remove(ctx context.Context, from string, arguments []any) (removed int64, err error) {
	usage, err := k.lock(ctx)
	if err != nil {
		return 0, err
	}
	sizes, err := Select(ctx, k.tx, `DELETE`+from+` RETURNING `+kvSize, arguments, scanValue[int64])
	if err != nil {
		return 0, err
	}
	usage.keys -= int64(len(sizes))
	for _, size := range sizes {
		usage.bytes -= size
	}
	return int64(len(sizes)), k.save(ctx, usage)
}

// lock returns what the plugin has stored and keeps others from changing it until the transaction ends.
func (k pluginKeys) lock(ctx context.Context) (kvUsage, error) {
	const query = `INSERT INTO kv_usage (channel_id, plugin, keys, bytes) VALUES ($1, $2, 0, 0)
ON CONFLICT (channel_id, plugin) DO UPDATE SET keys = kv_usage.keys RETURNING keys, bytes`
	usage, _, err := selectOne(ctx, k.tx, query, []any{k.channel, k.plugin}, scanKVUsage)
	return usage, err
}

// save stores what the plugin has stored. A plugin without keys has no row, so that names that are no longer used do
// not count.
func (k pluginKeys) save(ctx context.Context, usage kvUsage) (err error) {
	if usage.keys <= 0 {
		_, err = k.tx.Exec(ctx, `DELETE FROM kv_usage WHERE channel_id = $1 AND plugin = $2`, k.channel, k.plugin)
		return err
	}
	_, err = k.tx.Exec(ctx, `UPDATE kv_usage SET keys = $3, bytes = $4 WHERE channel_id = $1 AND plugin = $2`,
		k.channel, k.plugin, usage.keys, usage.bytes)
	return err
}

// recountKV counts all keys anew, after rows were copied.
func recountKV(ctx context.Context, tx Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM kv_usage`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO kv_usage (channel_id, plugin, keys, bytes)
SELECT channel_id, plugin, count(*), sum(`+kvSize+`) FROM kv GROUP BY channel_id, plugin`)
	return err
}

// RecountKV implements store.Store.
func (s Store) RecountKV(ctx context.Context) error {
	const plugins = `SELECT channel_id, plugin FROM kv_usage UNION SELECT channel_id, plugin FROM kv ORDER BY 1, 2`
	all, err := Select(ctx, s.db, plugins, nil, func(keys *pluginKeys) []any { return []any{&keys.channel, &keys.plugin} })
	for _, keys := range all {
		if err != nil {
			break
		}
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			keys.tx = tx
			return keys.recount(ctx)
		})
	}
	if err != nil {
		return fmt.Errorf("counting the keys of plugins: %w", err)
	}
	return nil
}

func (k pluginKeys) recount(ctx context.Context) error {
	query := `SELECT count(*), CAST(coalesce(sum(` + kvSize + `), 0) AS BIGINT) FROM kv
WHERE channel_id = $1 AND plugin = $2`
	if _, err := k.lock(ctx); err != nil {
		return err
	}
	usage, _, err := selectOne(ctx, k.tx, query, []any{k.channel, k.plugin}, scanKVUsage)
	if err != nil {
		return err
	}
	return k.save(ctx, usage)
}

// pruneKV removes keys of one plugin that have expired.
func (s Store) pruneKV(ctx context.Context, before time.Time, limit int) (removed int64, err error) {
	const (
		find    = `SELECT channel_id, plugin FROM kv WHERE expires_at <= $1 LIMIT 1`
		expired = ` FROM kv WHERE (channel_id, plugin, key) IN (
SELECT channel_id, plugin, key FROM kv WHERE channel_id = $1 AND plugin = $2 AND expires_at <= $3 LIMIT $4)`
	)
	keys, found, err := selectOne(ctx, s.db, find, []any{before.UnixMilli()}, func(keys *pluginKeys) []any {
		return []any{&keys.channel, &keys.plugin}
	})
	if err != nil || !found {
		return 0, err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		keys.tx = tx
		removed, err = keys.remove(ctx, expired, []any{keys.channel, keys.plugin, before.UnixMilli(), limit})
		return err
	})
	return removed, err
}
