package relational

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// RecentChat implements store.Store.
func (s Store) RecentChat(ctx context.Context, channel store.Channel, limit int) ([]store.RecentLine, error) {
	const query = `SELECT at, username, text FROM chat WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT $3`
	lines, err := selectIn(ctx, s.db, query, channel, []any{max(limit, 0)}, scanLine)
	slices.Reverse(lines)
	return lines, err
}

func scanLine(line *store.RecentLine) []any {
	return []any{Millis{&line.At}, &line.Username, &line.Text}
}

// TopChatters implements store.Store.
func (s Store) TopChatters(ctx context.Context, channel store.Channel, limit int) ([]store.Chatter, error) {
	const query = `SELECT name, chat_lines FROM users WHERE channel_id = ` + inChannel + ` AND chat_lines > 0
ORDER BY chat_lines DESC, name_key LIMIT $3`
	return selectIn(ctx, s.db, query, channel, []any{max(limit, 0)}, func(chatter *store.Chatter) []any {
		return []any{&chatter.Username, &chatter.Lines}
	})
}

// Actions implements store.Store.
func (s Store) Actions(ctx context.Context, channel store.Channel, limit int) ([]store.PastAction, error) {
	const query = `SELECT at, username, action_type, details FROM user_actions WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT $3`
	actions, err := selectIn(ctx, s.db, query, channel, []any{max(limit, 0)}, func(action *store.PastAction) []any {
		return []any{Millis{&action.At}, &action.Username, &action.Type, &action.Details}
	})
	slices.Reverse(actions)
	return actions, err
}

// HighWater implements store.Store.
func (s Store) HighWater(ctx context.Context, channel store.Channel) (store.Maxima, error) {
	const query = `SELECT chat, chat_at, connected, connected_at FROM high_water WHERE channel_id = ` + inChannel
	maxima, _, err := selectOne(ctx, s.db, query, keyed(channel), func(maxima *store.Maxima) []any {
		return []any{&maxima.Chat, Millis{&maxima.ChatAt}, &maxima.Connected, Millis{&maxima.ConnectedAt}}
	})
	// A maximum that was never told was stored as 0, at the time of the other.
	if maxima.Chat <= 0 {
		maxima.Chat, maxima.ChatAt = 0, time.Time{}
	}
	if maxima.Connected <= 0 {
		maxima.Connected, maxima.ConnectedAt = 0, time.Time{}
	}
	return maxima, err
}

// UserCounts implements store.Store.
func (s Store) UserCounts(ctx context.Context, channel store.Channel, limit int) ([]store.CountSample, error) {
	const query = `SELECT at, chat, connected FROM user_counts WHERE channel_id = ` + inChannel + `
ORDER BY at DESC, event_id DESC LIMIT $3`
	samples, err := selectIn(ctx, s.db, query, channel, []any{max(limit, 0)}, func(sample *store.CountSample) []any {
		return []any{Millis{&sample.At}, &sample.Chat, &sample.Connected}
	})
	slices.Reverse(samples)
	return samples, err
}

// Status implements store.Store.
func (s Store) Status(ctx context.Context, channel store.Channel) (store.Status, error) {
	const query = `SELECT field, value FROM status WHERE channel_id = ` + inChannel
	type column struct{ field, value string }
	columns, err := selectIn(ctx, s.db, query, channel, nil, func(row *column) []any {
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
