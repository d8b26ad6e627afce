package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// batchSize is the maximum number of lines in one transaction: maxBatch of package database.
const batchSize = 500

// The statements of one transaction of store.Apply for lines of chat: read the channel, insert the lines, and merge one
// row for each user.
const (
	rawChannel = `INSERT INTO channels (server_key, name_key, name) VALUES ($1, $2, $2)`
	rawRead    = `SELECT id FROM channels WHERE server_key = $1 AND name_key = $2`
	rawUsers   = `INSERT INTO users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines) `
	rawMerge   = ` ON CONFLICT (channel_id, name_key) DO UPDATE SET
  name_at = excluded.name_at, last_seen = excluded.last_seen, chat_lines = users.chat_lines + excluded.chat_lines`
)

// raw inserts all lines in batches.
func (t *target) raw(ctx context.Context, lines []line) error {
	if _, err := t.db.ExecContext(ctx, rawChannel, channel.Server, channel.Name); err != nil {
		return fmt.Errorf("adding a channel: %w", err)
	}
	for some := range slices.Chunk(lines, batchSize) {
		if err := t.insert(ctx, t.db, some); err != nil {
			return fmt.Errorf("inserting lines: %w", err)
		}
	}
	return nil
}

// within runs work in one transaction, with the channel's ID.
func within(ctx context.Context, db *sql.DB, work func(tx *sql.Tx, channel int64) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning: %w", err)
	}
	var id int64
	err = tx.QueryRowContext(ctx, rawRead, channel.Server, channel.Name).Scan(&id)
	if err == nil {
		err = work(tx, id)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// insertSQLite inserts lines with a statement that is prepared once per transaction.
func insertSQLite(ctx context.Context, db *sql.DB, lines []line) error {
	return within(ctx, db, func(tx *sql.Tx, channel int64) error {
		add, err := tx.PrepareContext(ctx, `INSERT INTO chat (event_id, channel_id, at, username, text)
VALUES (?, ?, ?, ?, ?) ON CONFLICT (event_id, channel_id) DO NOTHING`)
		if err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		defer func() { _ = add.Close() }() // its rows are inserted
		for _, l := range lines {
			if _, err := add.ExecContext(ctx, l.id, channel, l.at.UnixMilli(), l.user, l.text); err != nil {
				return fmt.Errorf("adding a line: %w", err)
			}
		}
		merge, err := tx.PrepareContext(ctx, rawUsers+"VALUES (?1, ?2, ?2, ?3, ?4, ?3, ?5)"+rawMerge)
		if err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		defer func() { _ = merge.Close() }() // its rows are inserted
		for _, one := range saidBy(lines) {
			if _, err := merge.ExecContext(ctx, channel, one.user, one.last, one.first, one.count); err != nil {
				return fmt.Errorf("adding a user: %w", err)
			}
		}
		return nil
	})
}

// insertPostgres inserts lines with an array for each column, which is faster than a statement for each line.
func insertPostgres(ctx context.Context, db *sql.DB, lines []line) error {
	return within(ctx, db, func(tx *sql.Tx, channel int64) error {
		var ids, users, texts []string
		var times []int64
		for _, l := range lines {
			ids, times = append(ids, l.id), append(times, l.at.UnixMilli())
			users, texts = append(users, l.user), append(texts, l.text)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO chat (event_id, channel_id, at, username, text)
SELECT id, $1, at, username, line FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[])
AS rows (id, at, username, line) ON CONFLICT (event_id, channel_id) DO NOTHING`, channel, ids, times, users, texts)
		if err != nil {
			return fmt.Errorf("adding lines: %w", err)
		}
		var names []string
		var firsts, lasts, counts []int64
		for _, one := range saidBy(lines) {
			names, counts = append(names, one.user), append(counts, one.count)
			firsts, lasts = append(firsts, one.first), append(lasts, one.last)
		}
		_, err = tx.ExecContext(ctx, rawUsers+`SELECT $1, name, name, last, first, last, lines
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS rows (name, first, last, lines)`+rawMerge,
			channel, names, firsts, lasts, counts)
		if err != nil {
			return fmt.Errorf("adding users: %w", err)
		}
		return nil
	})
}

// said is the summary of one user's lines.
type said struct {
	user        string
	first, last int64
	count       int64
}

// saidBy returns the summaries of the users of lines, sorted by name.
func saidBy(lines []line) []said {
	people := map[string]said{}
	for _, l := range lines {
		one, known := people[l.user]
		if !known {
			one = said{user: l.user, first: l.at.UnixMilli()}
		}
		one.last = l.at.UnixMilli()
		one.count++
		people[l.user] = one
	}
	return slices.SortedFunc(maps.Values(people), func(a, b said) int { return strings.Compare(a.user, b.user) })
}
