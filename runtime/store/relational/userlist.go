package relational

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// UserList implements store.Queries. It reads all tables from one snapshot, as users does.
func (s Store) UserList(
	ctx context.Context, channel store.Channel, query store.UserQuery,
) (users []store.User, err error) {
	list, arguments := userListSQL(channel, query)
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		users, err = Select(ctx, tx, list, arguments, scanUser)
		if err != nil || len(users) == 0 {
			return err
		}
		watches, err := readWatches(ctx, tx, channel)
		if err != nil {
			return err
		}
		names := make([]any, 0, len(users))
		for _, user := range users {
			names = append(names, store.Fold(user.Username))
		}
		presence := presenceSQL + ` AND user_key IN (` + placeholders(3, len(names)) + `)` + newestPresence
		return addSessions(ctx, tx, users, watches, presence, channelArguments(channel, names...))
	})
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	for i := range users {
		users[i].Sessions = nil
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

// UserTimes implements store.Queries.
func (s Store) UserTimes(ctx context.Context, channel store.Channel, do func(store.UserTime)) error {
	arguments := channelArguments(channel)
	err := s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		watches, err := readWatches(ctx, tx, channel)
		if err != nil {
			return err
		}
		users, err := Select(ctx, tx, usersSQL+` ORDER BY name_key`, arguments, scanUser)
		if err != nil {
			return err
		}
		next := 0
		// finish passes the users on that have no joins and leaves, up to one.
		finish := func(name string) {
			for ; next < len(users) && store.Fold(users[next].Username) < name; next++ {
				do(userTime(users[next], nil))
			}
		}
		err = eachSessions(ctx, tx, watches, presenceSQL+newestPresence, arguments,
			func(name string, sessions []store.Session) {
				finish(name)
				if next < len(users) && store.Fold(users[next].Username) == name {
					do(userTime(users[next], sessions))
					next++
				}
			})
		for ; err == nil && next < len(users); next++ {
			do(userTime(users[next], nil))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the times of all users: %w", err)
	}
	return nil
}

func userTime(user store.User, sessions []store.Session) store.UserTime {
	user = user.WithSessions(sessions)
	result := store.UserTime{Username: user.Username, Connected: user.Connected}
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
