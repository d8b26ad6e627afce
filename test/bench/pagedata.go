package main

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// pageYears is since when people come to the channel of measurePage.
	pageYears = 3 * 365 * 24 * time.Hour
	// pageDays is since when the lines are kept: the default of database.retention.chat.
	pageDays = 6 * 24 * time.Hour
	// regular is a person with as many joins and leaves as are read for one, and regularRows is their number.
	regular     = "Person7"
	regularRows = 20_000
)

// fillPages stores the lines of pageDays and what pageYears have left, which the database makes from numbers.
func (b *bench) fillPages(ctx context.Context, on *target, channel store.Channel) error {
	key, now := channel.Fold(), time.Now().UnixMilli()
	began, people := now-pageYears.Milliseconds(), b.pagePeople
	hour := now / time.Hour.Milliseconds()
	sessions, ofRegular := max(b.pagePresence/2, 1), min(regularRows, b.pagePresence)
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO channels (id, server_key, name_key, name) VALUES (1, '%s', '%s', '%s')`,
			key.Server, key.Name, channel.Name),
		numbered(people, `users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines)`,
			`1, 'person' || i, 'Person' || i, %[1]d, %[2]d + i * 1000, %[1]d - i * 60000, %[3]d + i %% 100`, now, began,
			b.pageLines/people),
		numbered(b.pageLines, `chat (event_id, channel_id, at, username, text)`,
			`'line' || (1000000000 + i), 1, %d + i * %d, 'Person' || (i * 7 %% %d),
			 'line ' || i || ': has anybody seen <em>this</em> one before?'`,
			now-pageDays.Milliseconds(), pageDays.Milliseconds()/int64(b.pageLines), people),
		numbered(b.pagePresence, `presence (event_id, channel_id, user_key, joined, at)`,
			`'stay' || (1000000000 + i), 1, 'person' || (i / 2 %% %d), i %% 2 = 0, %d + i / 2 * %d + i %% 2 * 3600000`,
			people, began, (pageYears-pageDays).Milliseconds()/int64(sessions)),
		numbered(ofRegular, `presence (event_id, channel_id, user_key, joined, at)`,
			`'often' || (1000000000 + i), 1, 'person7', i %% 2 = 0, %d + i * %d`,
			began, (pageYears-pageDays).Milliseconds()/int64(ofRegular)),
		numbered(b.pagePresence/2, `chat_hours (channel_id, user_key, hour, lines)`,
			`1, 'person' || (i %% %[1]d), %[2]d - i / %[1]d * 13, 1 + i %% 7`, people, hour),
		numbered(8640, `user_counts (event_id, channel_id, at, chat, connected)`,
			`'count' || (1000000000 + i), 1, %d - i * 300000, 20 + i %% 50, 30 + i %% 70`, now),
		numbered(5000, `media (event_id, channel_id, at, item_key, media_type, media_id, title, seconds, queued_by)`,
			`'film' || (1000000000 + i), 1, %[1]d - i * 1500000, 'yt/' || (i %% 700), 'yt', i %% 700 || '',
			 'A film with the number ' || (i %% 700), 5400, 'Person' || (i %% %[2]d)`, now, people),
		numbered(2000, `outbound (channel_id, enqueued_at, text, sent_at, asker)`,
			`1, %[1]d - i * 300000, 'outbound line ' || i, %[1]d - i * 300000 + 1000, 'alice'`, now),
		"ANALYZE",
	} {
		if _, err := on.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("filling the database: %w in %.80s", err, statement)
		}
	}
	return nil
}

// numbered returns a statement that inserts rows with the numbers i from 0 on.
func numbered(rows int, into, columns string, arguments ...any) string {
	return fmt.Sprintf(`INSERT INTO %s WITH RECURSIVE n (i) AS (
  SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT %s FROM n`,
		into, max(rows, 1)-1, fmt.Sprintf(columns, arguments...))
}
