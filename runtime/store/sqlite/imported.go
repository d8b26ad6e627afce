package sqlite

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

var _ store.Importer = (*Store)(nil)

// ImportChat implements store.Importer.
func (s *Store) ImportChat(ctx context.Context, lines []store.Event) (added int, err error) {
	err = s.change(ctx, func(b *batch) error {
		added = 0
		for _, event := range store.Normalize(lines) {
			line, ok := event.Fact.(store.ChatLine)
			if !ok {
				return fmt.Errorf("%w: importing %T as a line of chat", store.ErrRejected, event.Fact)
			}
			channel, err := b.channelID(ctx, event.Channel)
			if err != nil {
				return err
			}
			at := event.At.UnixMilli()
			rows, err := b.run(ctx, b.statements.chat, event.ID, channel, at, line.Username, line.Text)
			if err != nil {
				return fmt.Errorf("importing line %s: %w", event.ID, err)
			}
			added += int(rows)
		}
		return nil
	})
	return added, err
}

// ImportUsers implements store.Importer.
func (s *Store) ImportUsers(ctx context.Context, channel store.Channel, users []store.ImportedUser) error {
	const (
		takeBack = `UPDATE users SET chat_lines = chat_lines - imported_lines, imported_lines = 0, imported_ms = 0
WHERE channel_id = ? AND (imported_lines <> 0 OR imported_ms <> 0)`
		twice = `UPDATE users SET imported_twice = max(imported_twice, ?3) WHERE channel_id = ?1 AND name_key = ?2`
		add   = `UPDATE users SET chat_lines = chat_lines + max(?3 - imported_twice, 0),
  imported_lines = max(?3 - imported_twice, 0), imported_ms = ?4 WHERE channel_id = ?1 AND name_key = ?2`
	)
	return s.change(ctx, func(b *batch) error {
		id, err := b.channelID(ctx, channel)
		if err != nil {
			return err
		}
		if _, err := b.tx.ExecContext(ctx, takeBack, id); err != nil {
			return fmt.Errorf("taking back what was imported before: %w", err)
		}
		for _, user := range users {
			name := store.CleanText(user.Username)
			if err := b.seen(ctx, id, name, user.FirstSeen.UnixMilli(), 0); err != nil {
				return err
			}
			if err := b.seen(ctx, id, name, user.LastSeen.UnixMilli(), 0); err != nil {
				return err
			}
			key := store.Fold(name)
			if _, err := b.tx.ExecContext(ctx, twice, id, key, user.Twice); err != nil {
				return fmt.Errorf("importing user %q: %w", name, err)
			}
			if _, err := b.tx.ExecContext(ctx, add, id, key, user.Lines, user.Connected.Milliseconds()); err != nil {
				return fmt.Errorf("importing user %q: %w", name, err)
			}
		}
		return nil
	})
}

// ChatBeside implements store.Importer.
func (s *Store) ChatBeside(ctx context.Context, channel store.Channel, marker string) ([]store.RecentLine, error) {
	const query = `SELECT at, username, text FROM chat WHERE channel_id = ` + inChannel + `
AND instr(event_id, ?3) = 0 ORDER BY at, event_id`
	return selectRows(ctx, s.read, query, channel, []any{marker}, func(line *store.RecentLine) []any {
		return []any{millis{&line.At}, &line.Username, &line.Text}
	})
}
