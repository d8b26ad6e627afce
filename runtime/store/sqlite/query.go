package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// inChannel selects the id of the channel whose folded server and name are the first two parameters.
const inChannel = `(SELECT id FROM channels WHERE server_key = ?1 AND name_key = ?2)`

// RecentChat implements store.Store.
func (s *Store) RecentChat(ctx context.Context, channel store.Channel, limit int) ([]store.RecentLine, error) {
	const query = `SELECT at, username, text FROM chat WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT max(?3, 0)`
	lines, err := selectRows(ctx, s.read, query, channel, []any{limit}, func(line *store.RecentLine) []any {
		return []any{millis{&line.At}, &line.Username, &line.Text}
	})
	slices.Reverse(lines)
	return lines, err
}

// TopChatters implements store.Store.
func (s *Store) TopChatters(ctx context.Context, channel store.Channel, limit int) ([]store.Chatter, error) {
	const query = `SELECT name, chat_lines FROM users WHERE channel_id = ` + inChannel + ` AND chat_lines > 0
ORDER BY chat_lines DESC, name_key LIMIT max(?3, 0)`
	return selectRows(ctx, s.read, query, channel, []any{limit}, func(chatter *store.Chatter) []any {
		return []any{&chatter.Username, &chatter.Lines}
	})
}

// Actions implements store.Store.
func (s *Store) Actions(ctx context.Context, channel store.Channel, limit int) ([]store.PastAction, error) {
	const query = `SELECT at, username, action_type, details FROM user_actions WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT max(?3, 0)`
	actions, err := selectRows(ctx, s.read, query, channel, []any{limit}, func(action *store.PastAction) []any {
		return []any{millis{&action.At}, &action.Username, &action.Type, &action.Details}
	})
	slices.Reverse(actions)
	return actions, err
}

// HighWater implements store.Store.
func (s *Store) HighWater(ctx context.Context, channel store.Channel) (store.Maxima, error) {
	const query = `SELECT chat, chat_at, connected, connected_at FROM high_water WHERE channel_id = ` + inChannel
	rows, err := selectRows(ctx, s.read, query, channel, nil, func(maxima *store.Maxima) []any {
		return []any{&maxima.Chat, millis{&maxima.ChatAt}, &maxima.Connected, millis{&maxima.ConnectedAt}}
	})
	if err != nil || len(rows) == 0 {
		return store.Maxima{}, err
	}
	maxima := rows[0]
	// A maximum that was never told was stored as 0, at the time of the other.
	if maxima.Chat <= 0 {
		maxima.Chat, maxima.ChatAt = 0, time.Time{}
	}
	if maxima.Connected <= 0 {
		maxima.Connected, maxima.ConnectedAt = 0, time.Time{}
	}
	return maxima, nil
}

// UserCounts implements store.Store.
func (s *Store) UserCounts(ctx context.Context, channel store.Channel, limit int) ([]store.CountSample, error) {
	const query = `SELECT at, chat, connected FROM user_counts WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT max(?3, 0)`
	samples, err := selectRows(ctx, s.read, query, channel, []any{limit}, func(sample *store.CountSample) []any {
		return []any{millis{&sample.At}, &sample.Chat, &sample.Connected}
	})
	slices.Reverse(samples)
	return samples, err
}

// Status implements store.Store.
func (s *Store) Status(ctx context.Context, channel store.Channel) (store.Status, error) {
	const query = `SELECT field, value FROM status WHERE channel_id = ` + inChannel
	type column struct{ field, value string }
	columns, err := selectRows(ctx, s.read, query, channel, nil, func(row *column) []any {
		return []any{&row.field, &row.value}
	})
	if err != nil {
		return store.Status{}, err
	}
	fields := map[string]string{}
	for _, row := range columns {
		fields[row.field] = row.value
	}
	status, err := store.StatusFromFields(fields)
	if err != nil {
		return store.Status{}, fmt.Errorf("reading the status: %w", err)
	}
	return status, nil
}

// querier is a *sql.DB or a *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
}

// selectRows is scanRows for a query whose first two parameters are the channel.
func selectRows[T any](
	ctx context.Context, from querier, query string, channel store.Channel, arguments []any, columns func(*T) []any,
) ([]T, error) {
	key := channel.Fold()
	return scanRows(ctx, from, query, append([]any{key.Server, key.Name}, arguments...), columns)
}

// scanRows reads all rows of a query. columns answers where a row's columns go. Without rows the result
// is empty and not nil, so that it is an array in JSON.
func scanRows[T any](
	ctx context.Context, from querier, query string, arguments []any, columns func(*T) []any,
) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, arguments...)
	if err != nil {
		return nil, fmt.Errorf("querying: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	all := []T{}
	for rows.Next() {
		var row T
		if err := rows.Scan(columns(&row)...); err != nil {
			return nil, fmt.Errorf("reading a row: %w", err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading rows: %w", err)
	}
	return all, nil
}

// millis reads a column of milliseconds into a time.
type millis struct{ *time.Time }

// Scan implements sql.Scanner.
func (m millis) Scan(column any) error {
	value, ok := column.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T, expected a whole number", column)
	}
	*m.Time = time.UnixMilli(value).UTC()
	return nil
}

// maybeMillis is millis for a column that may be NULL, which leaves the time as it is.
type maybeMillis struct{ *time.Time }

// Scan implements sql.Scanner.
func (m maybeMillis) Scan(column any) error {
	if column == nil {
		return nil
	}
	return millis(m).Scan(column)
}
