package relational

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// The imported time is in nanoseconds, as a time.Duration; the time of the sessions is added to it.
	usersSQL = `SELECT name, first_seen, last_seen, chat_lines, imported_ms * 1000000
FROM users WHERE channel_id = ` + channelID
	watchesSQL  = `SELECT since, until FROM watches WHERE channel_id = ` + channelID
	presenceSQL = `SELECT user_key, event_id, joined, at FROM presence WHERE channel_id = ` + channelID
)

// Users implements store.Store.
func (s Store) Users(ctx context.Context, channel store.Channel) ([]store.User, error) {
	return s.users(ctx, channel, usersSQL+` ORDER BY name_key`, presenceSQL, channelArguments(channel))
}

// User implements store.Store.
func (s Store) User(
	ctx context.Context, channel store.Channel, name string,
) (user store.User, seen bool, err error) {
	users, err := s.users(ctx, channel, usersSQL+` AND name_key = $3`, presenceSQL+` AND user_key = $3`,
		channelArguments(channel, store.Fold(store.CleanText(name))))
	if err != nil || len(users) == 0 {
		return store.User{}, false, err
	}
	return users[0], true, nil
}

// CountUsers implements store.Store.
func (s Store) CountUsers(ctx context.Context, channel store.Channel) (int, error) {
	const query = `SELECT count(*) FROM users WHERE channel_id = ` + channelID
	count, _, err := selectOne(ctx, s.db, query, channelArguments(channel), scanValue[int])
	return count, err
}

// users reads all tables from one snapshot: otherwise a user could have a session after their last_seen.
func (s Store) users(
	ctx context.Context, channel store.Channel, usersQuery, presenceQuery string, arguments []any,
) (users []store.User, err error) {
	type presenceRow struct {
		user     string
		presence store.Presence
	}
	var rows []presenceRow
	var watches []store.Watch
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		rows, err = Select(ctx, tx, presenceQuery, arguments, func(row *presenceRow) []any {
			return []any{&row.user, &row.presence.ID, &row.presence.Joined, millis{&row.presence.At}}
		})
		if err == nil {
			watches, err = Select(ctx, tx, watchesSQL, channelArguments(channel), func(row *store.Watch) []any {
				return []any{millis{&row.Since}, millis{&row.Until}}
			})
		}
		if err == nil {
			users, err = Select(ctx, tx, usersQuery, arguments, scanUser)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	presence := map[string][]store.Presence{}
	for _, row := range rows {
		presence[row.user] = append(presence[row.user], row.presence)
	}
	for i, user := range users {
		users[i] = user.WithSessions(store.Sessions(presence[store.Fold(user.Username)], watches))
	}
	return users, nil
}

func scanUser(user *store.User) []any {
	return []any{&user.Username, millis{&user.FirstSeen}, millis{&user.LastSeen}, &user.Lines, &user.Connected}
}

// RecentChat implements store.Store.
func (s Store) RecentChat(ctx context.Context, channel store.Channel, limit int) ([]store.RecentLine, error) {
	return newest(ctx, s, `SELECT at, username, text FROM chat`, channel, limit, scanLine)
}

func scanLine(line *store.RecentLine) []any {
	return []any{millis{&line.At}, &line.Username, &line.Text}
}

// UserCounts implements store.Store.
func (s Store) UserCounts(ctx context.Context, channel store.Channel, limit int) ([]store.CountSample, error) {
	const query = `SELECT at, chat, connected FROM user_counts`
	return newest(ctx, s, query, channel, limit, func(sample *store.CountSample) []any {
		return []any{millis{&sample.At}, &sample.Chat, &sample.Connected}
	})
}

// Actions implements store.Store.
func (s Store) Actions(ctx context.Context, channel store.Channel, limit int) ([]store.PastAction, error) {
	const query = `SELECT at, username, action_type, details FROM user_actions`
	return newest(ctx, s, query, channel, limit, func(action *store.PastAction) []any {
		return []any{millis{&action.At}, &action.Username, &action.Type, &action.Details}
	})
}

// newest returns the newest rows of a table of events, oldest first.
func newest[T any](
	ctx context.Context, s Store, query string, channel store.Channel, limit int, columns func(*T) []any,
) ([]T, error) {
	query += ` WHERE channel_id = ` + channelID + ` ORDER BY at DESC, event_id DESC LIMIT $3`
	rows, err := Select(ctx, s.db, query, channelArguments(channel, max(limit, 0)), columns)
	slices.Reverse(rows)
	return rows, err
}

// TopChatters implements store.Store.
func (s Store) TopChatters(ctx context.Context, channel store.Channel, limit int) ([]store.Chatter, error) {
	const query = `SELECT name, chat_lines FROM users WHERE channel_id = ` + channelID + ` AND chat_lines > 0
ORDER BY chat_lines DESC, name_key LIMIT $3`
	return Select(ctx, s.db, query, channelArguments(channel, max(limit, 0)), func(chatter *store.Chatter) []any {
		return []any{&chatter.Username, &chatter.Lines}
	})
}

// HighWater implements store.Store.
func (s Store) HighWater(ctx context.Context, channel store.Channel) (store.Maxima, error) {
	const query = `SELECT chat, chat_at, connected, connected_at FROM high_water WHERE channel_id = ` + channelID
	maxima, _, err := selectOne(ctx, s.db, query, channelArguments(channel), func(maxima *store.Maxima) []any {
		return []any{&maxima.Chat, millis{&maxima.ChatAt}, &maxima.Connected, millis{&maxima.ConnectedAt}}
	})
	// An unknown maximum is stored as 0 at the time of the other one.
	if maxima.Chat <= 0 {
		maxima.Chat, maxima.ChatAt = 0, time.Time{}
	}
	if maxima.Connected <= 0 {
		maxima.Connected, maxima.ConnectedAt = 0, time.Time{}
	}
	return maxima, err
}

// Status implements store.Store.
func (s Store) Status(ctx context.Context, channel store.Channel) (map[string]json.RawMessage, error) {
	const query = `SELECT field, value FROM status WHERE channel_id = ` + channelID
	type fieldRow struct{ name, value string }
	rows, err := Select(ctx, s.db, query, channelArguments(channel), func(row *fieldRow) []any {
		return []any{&row.name, &row.value}
	})
	fields := map[string]json.RawMessage{}
	for _, row := range rows {
		fields[row.name] = json.RawMessage(row.value)
	}
	return fields, err
}
