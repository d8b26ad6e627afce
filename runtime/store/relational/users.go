package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// The imported time is in nanoseconds, as a time.Duration; the time of the sessions is added to it.
	usersSQL = `SELECT name, first_seen, last_seen, chat_lines, imported_ms * 1000000
FROM users WHERE channel_id = ` + channelID
	watchesSQL  = `SELECT since, until FROM watches WHERE channel_id = ` + channelID + ` ORDER BY since DESC LIMIT $3`
	presenceSQL = `SELECT user_key, event_id, joined, at FROM presence WHERE channel_id = ` + channelID
	// newestPresence orders the joins and leaves of each user so that the newest come first.
	newestPresence = ` ORDER BY user_key, at DESC, event_id DESC`
	// userPresenceSQL selects the newest joins and leaves of a user.
	userPresenceSQL = presenceSQL + ` AND user_key = $3` + newestPresence + ` LIMIT $4`
)

// Users implements store.Store.
func (s Store) Users(ctx context.Context, channel store.Channel) ([]store.User, error) {
	arguments := channelArguments(channel)
	return s.users(ctx, channel, usersSQL+` ORDER BY name_key`, arguments, presenceSQL+newestPresence, arguments)
}

// User implements store.Store.
func (s Store) User(
	ctx context.Context, channel store.Channel, name string,
) (user store.User, seen bool, err error) {
	key := store.Fold(store.CleanText(name))
	users, err := s.users(ctx, channel, usersSQL+` AND name_key = $3`, channelArguments(channel, key),
		userPresenceSQL, channelArguments(channel, key, store.MaxPresence))
	if err != nil || len(users) == 0 {
		return store.User{}, false, err
	}
	return users[0], true, nil
}

// CountUsers implements store.Store.
func (s Store) CountUsers(ctx context.Context, channel store.Channel) (int, error) {
	const query = `SELECT count(*) FROM users WHERE channel_id = ` + channelID
	count, _, err := selectOne(ctx, s.db, query, channelArguments(channel), scanValue[int])
	if err != nil {
		return 0, fmt.Errorf("counting the users: %w", err)
	}
	return count, nil
}

// KnownUsers implements store.Store.
func (s Store) KnownUsers(ctx context.Context, channel store.Channel, names []string) (map[string]bool, error) {
	const query = `SELECT name_key FROM users WHERE channel_id = ` + channelID + ` AND name_key = $3`
	known := map[string]bool{}
	err := s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		for _, name := range names {
			key := store.Fold(store.CleanText(name))
			_, found, err := selectOne(ctx, tx, query, channelArguments(channel, key), scanValue[string])
			if err != nil {
				return err
			}
			known[key] = found
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding users: %w", err)
	}
	return known, nil
}

// users reads all tables from one snapshot: otherwise a user could have a session after their last_seen.
func (s Store) users(
	ctx context.Context, channel store.Channel, usersQuery string, usersArguments []any, presenceQuery string,
	presenceArguments []any,
) (users []store.User, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		watches, err := readWatches(ctx, tx, channel)
		if err != nil {
			return err
		}
		users, err = Select(ctx, tx, usersQuery, usersArguments, scanUser)
		if err != nil {
			return err
		}
		return addSessions(ctx, tx, users, watches, presenceQuery, presenceArguments)
	})
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	return users, nil
}

// Watches implements store.Queries.
func (s Store) Watches(ctx context.Context, channel store.Channel) (watches store.Watches, err error) {
	if watches, err = readWatches(ctx, s.db, channel); err != nil {
		return watches, fmt.Errorf("reading when a bot was in the channel: %w", err)
	}
	return watches, nil
}

func readWatches(ctx context.Context, tx Executor, channel store.Channel) (store.Watches, error) {
	watches, err := Select(ctx, tx, watchesSQL, channelArguments(channel, store.MaxPresence),
		func(row *store.Watch) []any { return []any{millis{&row.Since}, millis{&row.Until}} })
	return store.NewWatches(watches), err
}

// presenceRow is a join or leave and the folded name of its user.
type presenceRow struct {
	user     string
	presence store.Presence
}

// addSessions adds the sessions to users. It reads the joins and leaves of one user after the other: those of all could
// fill the memory.
func addSessions(
	ctx context.Context, tx Tx, users []store.User, watches store.Watches, query string, arguments []any,
) error {
	byName := make(map[string]*store.User, len(users))
	for i := range users {
		byName[store.Fold(users[i].Username)] = &users[i]
		users[i] = users[i].WithSessions(nil)
	}
	return eachSessions(ctx, tx, watches, query, arguments, func(name string, sessions []store.Session) {
		if user := byName[name]; user != nil {
			*user = user.WithSessions(sessions)
		}
	})
}

// eachSessions calls do for each user with joins and leaves, in the order of the query.
func eachSessions(
	ctx context.Context, tx Tx, watches store.Watches, query string, arguments []any,
	do func(name string, sessions []store.Session),
) error {
	var name string
	var presence []store.Presence
	finish := func() {
		if len(presence) > 0 {
			do(name, store.Sessions(presence, watches))
		}
		presence = presence[:0]
	}
	err := each(ctx, tx, query, arguments, func(row *presenceRow) []any {
		return []any{&row.user, &row.presence.ID, &row.presence.Joined, millis{&row.presence.At}}
	}, func(row presenceRow) {
		if row.user != name {
			finish()
			name = row.user
		}
		if len(presence) < store.MaxPresence {
			presence = append(presence, row.presence)
		}
	})
	finish()
	return err
}

func scanUser(user *store.User) []any {
	return []any{&user.Username, millis{&user.FirstSeen}, millis{&user.LastSeen}, &user.Lines, &user.Connected}
}

// TopChatters implements store.Store.
func (s Store) TopChatters(ctx context.Context, channel store.Channel, limit int) ([]store.Chatter, error) {
	query := `SELECT ` + cut("name") + `, chat_lines FROM users WHERE channel_id = ` + channelID + ` AND chat_lines > 0
ORDER BY chat_lines DESC, name_key LIMIT $3`
	scan := func(chatter *store.Chatter) []any { return []any{&chatter.Username, &chatter.Lines} }
	chatters, err := Select(ctx, s.db, query, channelArguments(channel, max(limit, 0)), scan)
	if err != nil {
		return nil, fmt.Errorf("reading who wrote the most lines: %w", err)
	}
	return chatters, nil
}

// HighWater implements store.Store.
func (s Store) HighWater(ctx context.Context, channel store.Channel) (store.Maxima, error) {
	const query = `SELECT chat, chat_at, connected, connected_at FROM high_water WHERE channel_id = ` + channelID
	maxima, _, err := selectOne(ctx, s.db, query, channelArguments(channel), func(maxima *store.Maxima) []any {
		return []any{&maxima.Chat, millis{&maxima.ChatAt}, &maxima.Connected, millis{&maxima.ConnectedAt}}
	})
	if err != nil {
		return store.Maxima{}, fmt.Errorf("reading the maxima of the number of users: %w", err)
	}
	// An unknown maximum is stored as 0 at the time of the other one.
	if maxima.Chat <= 0 {
		maxima.Chat, maxima.ChatAt = 0, time.Time{}
	}
	if maxima.Connected <= 0 {
		maxima.Connected, maxima.ConnectedAt = 0, time.Time{}
	}
	return maxima, nil
}
