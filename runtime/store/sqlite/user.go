package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

const (
	// Connected time is in nanoseconds, as Go has it; what the sessions say is added to it.
	usersSQL = `SELECT name, first_seen, last_seen, chat_lines, imported_ms * 1000000
FROM users WHERE channel_id = ` + inChannel
	presenceSQL = `SELECT user_key, event_id, joined, at FROM presence WHERE channel_id = ` + inChannel
)

// Users implements store.Store.
func (s *Store) Users(ctx context.Context, channel store.Channel) ([]store.User, error) {
	return s.users(ctx, channel, usersSQL+` ORDER BY name_key`, presenceSQL)
}

// User implements store.Store.
func (s *Store) User(
	ctx context.Context, channel store.Channel, name string,
) (user store.User, seen bool, err error) {
	users, err := s.users(ctx, channel, usersSQL+` AND name_key = ?3`, presenceSQL+` AND user_key = ?3`,
		store.Fold(store.CleanText(name)))
	if err != nil || len(users) == 0 {
		return store.User{}, false, err
	}
	return users[0], true, nil
}

// CountUsers implements store.Store.
func (s *Store) CountUsers(ctx context.Context, channel store.Channel) (int, error) {
	key := channel.Fold()
	var count int
	row := s.read.QueryRowContext(ctx, `SELECT count(*) FROM users WHERE channel_id = `+inChannel, key.Server, key.Name)
	if err := row.Scan(&count); err != nil {
		return 0, fmt.Errorf("counting users: %w", err)
	}
	return count, nil
}

func (s *Store) users(
	ctx context.Context, channel store.Channel, usersQuery, presenceQuery string, arguments ...any,
) ([]store.User, error) {
	// One transaction: a user must not have a session from after their last_seen.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("beginning to read: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written

	type userFact struct {
		user string
		fact store.Presence
	}
	facts, err := selectRows(ctx, tx, presenceQuery, channel, arguments, func(row *userFact) []any {
		return []any{&row.user, &row.fact.ID, &row.fact.Joined, millis{&row.fact.At}}
	})
	if err != nil {
		return nil, err
	}
	presence := map[string][]store.Presence{}
	for _, row := range facts {
		presence[row.user] = append(presence[row.user], row.fact)
	}
	users, err := selectRows(ctx, tx, usersQuery, channel, arguments, func(user *store.User) []any {
		return []any{&user.Username, millis{&user.FirstSeen}, millis{&user.LastSeen}, &user.Lines, &user.Connected}
	})
	for i, user := range users {
		users[i] = user.WithSessions(store.Sessions(presence[store.Fold(user.Username)]))
	}
	return users, err
}
