package relational

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
)

// prunedChannels is a subquery for the channels of a rule: $3 is its ServedBy.
const prunedChannels = `(SELECT id FROM channels
  WHERE CAST($3 AS TEXT) = '' OR coalesce(served_by, CAST($3 AS TEXT)) = CAST($3 AS TEXT))`

// pruneSQL removes up to $2 rows that are older than $1. Rows that another service is removing are left to it. The
// channels are also listed so that the index of user_counts by channel and time can be used.
var pruneSQL = map[store.RowKind]string{
	store.PruneUserCounts: `DELETE FROM user_counts WHERE event_id IN (
SELECT event_id FROM user_counts WHERE channel_id IN ` + prunedChannels + ` AND at < $1 LIMIT $2%s)`,
	store.PruneOutbound: `DELETE FROM outbound WHERE id IN (
SELECT id FROM outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
  AND coalesce(sent_at, abandoned_at) < $1 AND channel_id IN ` + prunedChannels + ` LIMIT $2%s)`,
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
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			removed, err = pruneChat(ctx, tx, rule, limit)
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

// AddDeadLetters implements store.Store.
func (s Store) AddDeadLetters(ctx context.Context, deadLetters []store.DeadLetter) error {
	const (
		insert = `INSERT INTO dead_letters (at, subject, msg_id, reason, payload, size) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING`
		trim = `DELETE FROM dead_letters WHERE id <= (SELECT id FROM dead_letters ORDER BY id DESC LIMIT 1 OFFSET $1)`
	)
	rows := make([][]any, 0, len(deadLetters))
	for _, deadLetter := range deadLetters {
		rows = append(rows, []any{
			deadLetter.At.UnixMilli(), deadLetter.Subject, deadLetter.MsgID, deadLetter.Reason,
			append([]byte{}, deadLetter.Payload...), deadLetter.Size, // not nil, which would be NULL
		})
	}
	return s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.ExecAll(ctx, insert, rows); err != nil {
			return fmt.Errorf("storing dead letters: %w", err)
		}
		if _, err := tx.Exec(ctx, trim, store.MaxDeadLetters); err != nil {
			return fmt.Errorf("removing the oldest dead letters: %w", err)
		}
		return nil
	})
}

// DeadLetters implements store.Store.
func (s Store) DeadLetters(ctx context.Context, after int64, limit int) ([]store.DeadLetter, error) {
	const query = `SELECT id, at, subject, msg_id, reason, payload, size FROM dead_letters
WHERE id > $1 ORDER BY id LIMIT $2`
	deadLetters, err := Select(ctx, s.db, query, []any{after, max(limit, 0)}, func(deadLetter *store.DeadLetter) []any {
		return []any{
			&deadLetter.ID, millis{&deadLetter.At}, &deadLetter.Subject, &deadLetter.MsgID, &deadLetter.Reason,
			&deadLetter.Payload, &deadLetter.Size,
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	for i, deadLetter := range deadLetters {
		deadLetters[i].Payload = append([]byte{}, deadLetter.Payload...) // a driver may return nil for an empty payload
	}
	return deadLetters, nil
}

// DropDeadLetter implements store.Store.
func (s Store) DropDeadLetter(ctx context.Context, id int64) (existed bool, err error) {
	removed, err := s.db.Exec(ctx, `DELETE FROM dead_letters WHERE id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("removing dead letter %d: %w", id, err)
	}
	return removed > 0, nil
}

// NewerSchema returns the error for a schema of a later version than this program knows.
func NewerSchema(database, program int64) error {
	return fmt.Errorf("%w: its schema has version %d, and this program knows only version %d: run a newer version",
		store.ErrNewerSchema, database, program)
}

// Migrate brings the schema up to date with the files in the directory "migrations". Each migration is a transaction.
// Only one process may do it at a time.
func Migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrations fs.FS) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > known {
		return NewerSchema(current, known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("%w: %w", store.ErrMigration, err)
	}
	return nil
}

// CheckSchema returns an error unless the schema of a database that must not be changed is up to date.
func CheckSchema(ctx context.Context, db Executor, migrations fs.FS) error {
	known, err := NewestSchema(migrations)
	if err != nil {
		return err
	}
	const query = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"
	current, _, err := selectOne(ctx, db, query, nil, scanValue[int64])
	switch {
	case err != nil:
		return fmt.Errorf("reading the schema's version: %w", err)
	case current > known:
		return NewerSchema(current, known)
	case current < known:
		return fmt.Errorf("its schema has version %d, this program needs %d: start the service once", current, known)
	}
	return nil
}

// NewestSchema returns the version of the schema after all migrations: they are numbered from 1 without a gap.
func NewestSchema(migrations fs.FS) (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return int64(len(files)), nil
}
