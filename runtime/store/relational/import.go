package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// ImportChat implements store.Importer.
func (s Store) ImportChat(ctx context.Context, lines []store.Event) (added int, err error) {
	normal := store.Normalize(lines)
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		channels, err := s.findChannels(ctx, tx, normal, false)
		if err != nil {
			return err
		}
		stored, err := withoutForgotten(ctx, tx, normal, channels)
		if err != nil {
			return err
		}
		b := newBatch()
		for _, event := range stored {
			line, ok := event.Fact.(store.ChatLine)
			if !ok {
				return fmt.Errorf("%w: importing %T, expected chat lines", store.ErrRejected, event.Fact)
			}
			// Lines that were pruned come back, if they are to be kept longer now. They may have been counted.
			channel := channels[foldChannel(event.Channel)]
			b.counted[EventKey{event.ID, channel.id}] = event.At.UnixMilli() > channel.prunedTo
			b.insert(chatTable, event.ID, channel.id, event.At.UnixMilli(), line.Username, line.Text)
		}
		// The lines alone: their users were counted by the other program, but not their hours.
		into := b.inserts[chatTable.Name]
		if into == nil {
			return nil
		}
		sortRows(into.rows, 2)
		ids, err := tx.Insert(ctx, chatTable, into.rows)
		if err != nil {
			return err
		}
		added = len(ids)
		return countImported(ctx, tx, b.hours(into.rows), into.rows, ids)
	})
	if err != nil {
		s.channels.forget() // as apply
		return 0, fmt.Errorf("importing chat lines: %w", err)
	}
	return added, nil
}

// countImported merges the counters of rows, of which those with ids were inserted.
func countImported(ctx context.Context, tx Tx, counters []Counter, rows [][]any, ids []EventKey) error {
	isNew := make(map[EventKey]bool, len(ids))
	for _, id := range ids {
		isNew[id] = true
	}
	for _, counter := range counters {
		for i, row := range rows {
			if isNew[EventKeyOf(row)] {
				counter.Count(i)
			}
		}
		if err := tx.ExecLater(ctx, counter.Table.Name, counter.Table.Upsert(), counter.Rows); err != nil {
			return err
		}
	}
	return nil
}

// ImportUserCounts implements store.Importer.
func (s Store) ImportUserCounts(ctx context.Context, samples []store.Event) (added int, err error) {
	normal := store.Normalize(samples)
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		channels, err := s.findChannels(ctx, tx, normal, false)
		if err != nil {
			return err
		}
		b := newBatch()
		for _, event := range normal {
			if _, ok := event.Fact.(store.UserCount); !ok {
				return fmt.Errorf("%w: importing %T, expected samples of the number of users", store.ErrRejected, event.Fact)
			}
			b.add(event, channels[foldChannel(event.Channel)])
		}
		into := b.inserts[userCountsTable.Name]
		if into == nil {
			return nil
		}
		sortRows(into.rows, 2)
		ids, err := tx.Insert(ctx, userCountsTable, into.rows)
		added = len(ids)
		return err
	})
	if err != nil {
		s.channels.forget() // as apply
		return 0, fmt.Errorf("importing samples of the number of users: %w", err)
	}
	return added, nil
}

// ImportUsers implements store.Importer.
func (s Store) ImportUsers(ctx context.Context, channel store.Channel, users []store.ImportedUser) error {
	// chat_lines includes imported_lines, and imported_twice is the greatest number of lines that both programs were
	// ever found to have counted: the rows that prove it are pruned.
	const (
		undo = `UPDATE users SET chat_lines = chat_lines - imported_lines, imported_lines = 0, imported_ms = 0
WHERE channel_id = $1 AND (imported_lines <> 0 OR imported_ms <> 0)`
		twice = `UPDATE users SET imported_twice = $1 WHERE channel_id = $2 AND name_key = $3 AND imported_twice < $1`
		add   = `UPDATE users SET
  chat_lines = chat_lines + CASE WHEN $1 > imported_twice THEN $1 - imported_twice ELSE 0 END,
  imported_lines = CASE WHEN $1 > imported_twice THEN $1 - imported_twice ELSE 0 END,
  imported_ms = $2 WHERE channel_id = $3 AND name_key = $4`
	)
	return s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		row, _, err := s.findChannel(ctx, tx, channel)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, undo, row.id); err != nil {
			return fmt.Errorf("subtracting the previous import: %w", err)
		}
		forgotten, err := findTombstones(ctx, tx, row)
		if err != nil {
			return err
		}
		b := newBatch()
		var twiceRows, addRows [][]any
		for _, user := range users {
			name := store.CleanText(user.Username)
			if forgotten.cover(channel, name, user.FirstSeen) {
				continue // its counts are of the time before, too
			}
			b.seen(row.id, name, user.FirstSeen.UnixMilli())
			b.seen(row.id, name, user.LastSeen.UnixMilli())
			key := store.Fold(name)
			twiceRows = append(twiceRows, []any{int64(user.Twice), row.id, key})
			addRows = append(addRows, []any{int64(user.Lines), user.Connected.Milliseconds(), row.id, key})
		}
		for _, step := range []struct {
			query string
			rows  [][]any
		}{{countedUsersTable.Upsert(), b.userRows()}, {twice, twiceRows}, {add, addRows}} {
			if _, err := tx.ExecAll(ctx, step.query, step.rows); err != nil {
				return fmt.Errorf("importing users: %w", err)
			}
		}
		return nil
	})
}

// ChatWithout implements store.Importer.
func (s Store) ChatWithout(
	ctx context.Context, channel store.Channel, markers ...string,
) ([]store.RecentLine, error) {
	query, arguments := `SELECT at, username, text FROM chat WHERE channel_id = `+channelID, channelArguments(channel)
	for _, marker := range markers {
		arguments = append(arguments, marker)
		query += fmt.Sprintf(` AND replace(event_id, $%d, '') = event_id`, len(arguments))
	}
	lines, err := Select(ctx, s.db, query+` ORDER BY at, event_id`, arguments, scanLine)
	if err != nil {
		return nil, fmt.Errorf("reading the lines of chat that were not imported: %w", err)
	}
	return lines, nil
}
