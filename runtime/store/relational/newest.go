package relational

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

// recentSQL selects lines of chat; recentSizes what each of them takes in a reply.
var (
	recentSQL   = `SELECT at, ` + cut("username") + `, ` + cut("text") + ` FROM chat`
	recentSizes = `SELECT octet_length(` + cut("username") + `) + octet_length(` + cut("text") + `) FROM chat`
)

// RecentChat implements store.Store.
func (s Store) RecentChat(ctx context.Context, channel store.Channel, limit int) ([]store.RecentLine, error) {
	lines, err := newest(ctx, s.db, recentSQL, channel, limit, scanLine)
	if err != nil {
		return nil, fmt.Errorf("reading the newest lines of chat: %w", err)
	}
	return lines, nil
}

// RecentChatWithin implements store.Store.
func (s Store) RecentChatWithin(
	ctx context.Context, channel store.Channel, limit, size int,
) (lines []store.RecentLine, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		sizes, err := newest(ctx, tx, recentSizes, channel, limit, scanValue[int64])
		if err != nil {
			return err
		}
		slices.Reverse(sizes)
		lines, err = newest(ctx, tx, recentSQL, channel, fit(sizes, int64(size)), scanLine)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the newest lines of chat: %w", err)
	}
	return lines, nil
}

func scanLine(line *store.RecentLine) []any {
	return []any{millis{&line.At}, &line.Username, &line.Text}
}

// UserCounts implements store.Store.
func (s Store) UserCounts(ctx context.Context, channel store.Channel, limit int) ([]store.CountSample, error) {
	const query = `SELECT at, chat, connected FROM user_counts`
	samples, err := newest(ctx, s.db, query, channel, limit, func(sample *store.CountSample) []any {
		return []any{millis{&sample.At}, &sample.Chat, &sample.Connected}
	})
	if err != nil {
		return nil, fmt.Errorf("reading the newest samples of the number of users: %w", err)
	}
	return samples, nil
}

// Actions implements store.Store.
func (s Store) Actions(ctx context.Context, channel store.Channel, limit int) ([]store.PastAction, error) {
	query := `SELECT at, username, action_type, ` + cut("details") + ` FROM user_actions`
	actions, err := newest(ctx, s.db, query, channel, limit, func(action *store.PastAction) []any {
		return []any{millis{&action.At}, &action.Username, &action.Type, &action.Details}
	})
	if err != nil {
		return nil, fmt.Errorf("reading the newest actions: %w", err)
	}
	return actions, nil
}

// newest returns the newest rows of a table of events, oldest first.
func newest[T any](
	ctx context.Context, from Executor, query string, channel store.Channel, limit int, columns func(*T) []any,
) ([]T, error) {
	query += ` WHERE channel_id = ` + channelID + ` ORDER BY at DESC, event_id DESC LIMIT $3`
	rows, err := Select(ctx, from, query, channelArguments(channel, max(limit, 0)), columns)
	slices.Reverse(rows)
	return rows, err
}

// Status implements store.Store.
func (s Store) Status(ctx context.Context, channel store.Channel) (map[string]json.RawMessage, error) {
	const query = `SELECT field, value FROM status WHERE channel_id = ` + channelID
	type fieldRow struct{ name, value string }
	rows, err := Select(ctx, s.db, query, channelArguments(channel), func(row *fieldRow) []any {
		return []any{&row.name, &row.value}
	})
	if err != nil {
		return nil, fmt.Errorf("reading the status of the bot: %w", err)
	}
	fields := map[string]json.RawMessage{}
	for _, row := range rows {
		fields[row.name] = json.RawMessage(row.value)
	}
	return fields, nil
}
