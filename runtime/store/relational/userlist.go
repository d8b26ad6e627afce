package relational

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// UserList implements store.Queries.
func (s Store) UserList(
	ctx context.Context, channel store.Channel, query store.UserQuery,
) (users []store.User, err error) {
	list, arguments := userListSQL(channel, query)
	if users, err = Select(ctx, s.db, list, arguments, scanUser); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return users, nil
}

// userListSQL returns the statement for the users of a query, and its arguments.
func userListSQL(channel store.Channel, query store.UserQuery) (statement string, arguments []any) {
	arguments = channelArguments(channel)
	add := func(values ...any) int {
		arguments = append(arguments, values...)
		return len(arguments) - len(values) + 1
	}
	var where strings.Builder
	where.WriteString(usersSQL)
	if query.Contains != "" {
		escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(query.Contains)
		fmt.Fprintf(&where, ` AND name_key LIKE $%d ESCAPE '\'`, add("%"+escaped+"%"))
	}
	if query.Names != nil {
		names := make([]any, 0, len(query.Names))
		for _, name := range query.Names {
			names = append(names, name)
		}
		fmt.Fprintf(&where, ` AND name_key IN (%s)`, placeholders(add(names...), len(names)))
	}
	if after := query.After; after != nil {
		where.WriteString(behind(query, func(value any) string { return fmt.Sprintf("$%d", add(value)) }))
	}
	where.WriteString(` ORDER BY ` + userOrder(query))
	fmt.Fprintf(&where, ` LIMIT $%d`, add(max(query.Limit, 0)))
	return where.String(), arguments
}

// behind returns the condition for users behind query.After. Names are ordered against the rest.
func behind(query store.UserQuery, parameter func(any) string) string {
	before, after := "<", ">"
	if !query.Descending {
		before, after = after, before
	}
	name := parameter(query.After.Name)
	if query.Order == store.OrderName {
		return ` AND name_key ` + before + ` ` + name
	}
	value, column := parameter(query.After.Value), string(query.Order)
	// The first condition is for the index.
	return fmt.Sprintf(` AND %[1]s %[2]s= %[3]s AND (%[1]s %[2]s %[3]s OR name_key %[4]s %[5]s)`,
		column, before, value, after, name)
}

// userOrder returns the columns by which users are ordered. Either way an index has them in this order.
func userOrder(query store.UserQuery) string {
	column, isName := string(query.Order), query.Order == store.OrderName
	switch {
	case isName && query.Descending:
		return `name_key DESC`
	case isName:
		return `name_key`
	case query.Descending:
		return column + ` DESC, name_key`
	default:
		return column + `, name_key DESC`
	}
}

// placeholders returns the parameters from first on: "$3, $4".
func placeholders(first, count int) string {
	parameters := make([]string, 0, count)
	for i := range count {
		parameters = append(parameters, "$"+strconv.Itoa(first+i))
	}
	return strings.Join(parameters, ", ")
}

const (
	// timesPortion is how many users are looked for at a time whose sessions are then read one after the other.
	timesPortion = 100
	timesSQL     = usersSQL + ` AND name_key > $3 ORDER BY name_key LIMIT $4`
)

// UserTimes implements store.Queries.
func (s Store) UserTimes(
	ctx context.Context, channel store.Channel, query store.TimesQuery,
) (times []store.UserTime, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		times = nil
		users, err := Select(ctx, tx, timesSQL, channelArguments(channel, query.After, timesPortion), scanUser)
		if err != nil {
			return err
		}
		for _, user := range users {
			if len(times) > 0 && time.Now().After(query.Until) {
				return nil
			}
			var sessions []store.Session
			err := eachSessions(ctx, tx, query.Watches, userPresenceSQL,
				channelArguments(channel, store.Fold(user.Username), store.MaxPresence),
				func(_ string, of []store.Session) { sessions = of })
			if err != nil {
				return err
			}
			times = append(times, userTime(user, sessions))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the times of users: %w", err)
	}
	return times, nil
}

func userTime(user store.User, sessions []store.Session) store.UserTime {
	user = user.WithSessions(sessions)
	result := store.UserTime{Username: user.Username, Connected: user.Connected, SessionStart: user.SessionStart}
	var longest time.Duration = -1
	for _, session := range sessions {
		if session.Leave.IsZero() {
			session.Leave = user.LastSeen
		}
		if length := session.Length(); length > longest {
			longest, result.Longest = length, session
		}
	}
	return result
}
