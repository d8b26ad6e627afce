package relational

import (
	"context"

	"rosey.dev/rosey/runtime/store"
)

const (
	// Connected time is in nanoseconds, as Go has it; what the sessions say is added to it.
	usersSQL = `SELECT name, first_seen, last_seen, chat_lines, imported_ms * 1000000
FROM users WHERE channel_id = ` + inChannel
	watchesSQL  = `SELECT since, until FROM watches WHERE channel_id = ` + inChannel
	presenceSQL = `SELECT user_key, event_id, joined, at FROM presence WHERE channel_id = ` + inChannel
)

// Users implements store.Store.
func (s Store) Users(ctx context.Context, channel store.Channel) ([]store.User, error) {
	return s.users(ctx, channel, usersSQL+` ORDER BY name_key`, presenceSQL, keyed(channel))
}

// User implements store.Store.
func (s Store) User(
	ctx context.Context, channel store.Channel, name string,
) (user store.User, seen bool, err error) {
	users, err := s.users(ctx, channel, usersSQL+` AND name_key = $3`, presenceSQL+` AND user_key = $3`,
		keyed(channel, store.Fold(store.CleanText(name))))
	if err != nil || len(users) == 0 {
		return store.User{}, false, err
	}
	return users[0], true, nil
}

// CountUsers implements store.Store.
func (s Store) CountUsers(ctx context.Context, channel store.Channel) (int, error) {
	const query = `SELECT count(*) FROM users WHERE channel_id = ` + inChannel
	count, _, err := selectOne(ctx, s.db, query, keyed(channel), itself[int])
	return count, err
}

// users reads in one transaction: a user must not have a session from after their last_seen.
func (s Store) users(
	ctx context.Context, channel store.Channel, usersQuery, presenceQuery string, arguments []any,
) (users []store.User, err error) {
	type userFact struct {
		user string
		fact store.Presence
	}
	var facts []userFact
	var watches []store.Watch
	err = s.db.Read(ctx, func(session Session) error {
		facts, err = Select(ctx, session, presenceQuery, arguments, func(row *userFact) []any {
			return []any{&row.user, &row.fact.ID, &row.fact.Joined, Millis{&row.fact.At}}
		})
		if err == nil {
			watches, err = Select(ctx, session, watchesSQL, keyed(channel), func(row *store.Watch) []any {
				return []any{Millis{&row.Since}, Millis{&row.Until}}
			})
		}
		if err == nil {
			users, err = Select(ctx, session, usersQuery, arguments, scanUser)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	presence := map[string][]store.Presence{}
	for _, row := range facts {
		presence[row.user] = append(presence[row.user], row.fact)
	}
	for i, user := range users {
		users[i] = user.WithSessions(store.Sessions(presence[store.Fold(user.Username)], watches))
	}
	return users, nil
}

func scanUser(user *store.User) []any {
	return []any{&user.Username, Millis{&user.FirstSeen}, Millis{&user.LastSeen}, &user.Lines, &user.Connected}
}
