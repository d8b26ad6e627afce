package relational

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// personTable is a table with rows about users.
type personTable struct {
	Table

	kind string
	// user is the column with the user's name, folded or as it was spelled.
	user   string
	folded bool
	// key is the column that orders the rows of a channel's user. It is a bigint if numbered, else text.
	key      string
	numbered bool
	// at is the time of a row.
	at string
	// anonymous is the assignment that removes the name from a row that stays. Empty: the row is removed.
	anonymous string
}

// hourMillis follows a column of hours that is to be in milliseconds.
const hourMillis = " * 3600000"

// personTables are in the order in which their rows are exported.
var personTables = []personTable{
	{Table: usersTable, kind: "user", user: "name_key", folded: true, key: "name_key", at: "first_seen"},
	{Table: presenceTable, kind: "session", user: "user_key", folded: true, key: "event_id", at: "at"},
	{Table: chatTable, kind: "line", user: "username", key: "event_id", at: "at"},
	{Table: actionsTable, kind: "action", user: "username", key: "event_id", at: "at"},
	{Table: hoursTable, kind: "hour", user: "user_key", folded: true, key: "hour", numbered: true,
		at: "hour" + hourMillis},
	{Table: mediaTable, kind: "play", user: "queued_by", key: "event_id", at: "at", anonymous: "queued_by = ''"},
	{Table: outboundTable, kind: "outbound", user: "asker", key: "id", numbered: true, at: "enqueued_at",
		anonymous: "asker = NULL"},
}

// PersonRows implements store.People.
func (s Store) PersonRows(
	ctx context.Context, channel store.Channel, name string, after store.PersonPosition, limit int,
) (rows []store.PersonRow, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		rows = nil
		for number := max(after.Table, 0); number < len(personTables) && len(rows) < limit; number++ {
			key := ""
			if number == after.Table {
				key = after.Key
			}
			more, err := personTables[number].read(ctx, tx, channel, name, key, limit-len(rows))
			if err != nil {
				return fmt.Errorf("reading %s: %w", personTables[number].Name, err)
			}
			for _, row := range more {
				row.Table = number
				rows = append(rows, row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is stored about a user: %w", err)
	}
	return rows, nil
}

// spellings returns the values of the user column that are a name.
func (t personTable) spellings(
	ctx context.Context, tx Tx, channel store.Channel, name string,
) (spellings []any, err error) {
	key := store.Fold(store.CleanText(name))
	if t.folded {
		return []any{key}, nil
	}
	query := `SELECT DISTINCT ` + t.user + ` FROM ` + t.Name + ` WHERE channel_id = ` + channelID +
		` AND ` + t.user + ` IS NOT NULL`
	err = each(ctx, tx, query, channelArguments(channel), scanValue[string], func(spelling string) {
		if store.Fold(spelling) == key {
			spellings = append(spellings, spelling)
		}
	})
	return spellings, err
}

// condition returns the condition for rows of a channel about a user, and its arguments.
func (t personTable) condition(channel store.Channel, spellings []any) (condition string, arguments []any) {
	parameters := make([]string, 0, len(spellings))
	for i := range spellings {
		parameters = append(parameters, "$"+strconv.Itoa(i+3))
	}
	return ` WHERE channel_id = ` + channelID + ` AND ` + t.user + ` IN (` + strings.Join(parameters, ", ") + `)`,
		channelArguments(channel, spellings...)
}

// read returns rows behind a key. Empty: from the beginning.
func (t personTable) read(
	ctx context.Context, tx Tx, channel store.Channel, name, after string, limit int,
) (rows []store.PersonRow, err error) {
	spellings, err := t.spellings(ctx, tx, channel, name)
	if err != nil || len(spellings) == 0 {
		return nil, err
	}
	condition, arguments := t.condition(channel, spellings)
	if after != "" {
		behind, err := t.keyValue(after)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, behind)
		condition += fmt.Sprintf(" AND %s > $%d", t.key, len(arguments))
	}
	arguments = append(arguments, limit)
	const format = "SELECT CAST(%s AS TEXT) AS position_key, %s AS position_at, %s FROM %s%s ORDER BY %s LIMIT $%d"
	query := fmt.Sprintf(format, t.key, t.at,
		strings.Join(t.Columns, ", "), t.Name, condition, t.key, len(arguments))
	type personRow struct {
		store.PersonRow

		values []any
	}
	err = each(ctx, tx, query, arguments, func(row *personRow) []any {
		row.values = make([]any, len(t.Columns))
		destinations := []any{&row.Key, millis{&row.At}}
		for i, columnType := range t.Types {
			destinations = append(destinations, &cell{columnType, &row.values[i]})
		}
		return destinations
	}, func(row personRow) {
		row.Kind, row.Columns = t.kind, map[string]any{}
		for i, column := range t.Columns {
			if column != "channel_id" {
				row.Columns[column] = row.values[i]
			}
		}
		rows = append(rows, row.PersonRow)
	})
	return rows, err
}

// keyValue returns a key as the column has it.
func (t personTable) keyValue(key string) (any, error) {
	if !t.numbered {
		return key, nil
	}
	number, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the key %q of a position: expected a number: %w", key, err)
	}
	return number, nil
}

const (
	// tombstoneSQL comes first: it waits for transactions that store events of the channel, so that none of theirs stays
	// behind, and later ones find that somebody was forgotten. It has to lock the row even if it does not change it.
	tombstoneSQL = `UPDATE channels SET forgotten_to = CASE WHEN forgotten_to < $1 THEN $1 ELSE forgotten_to END
WHERE id = $2`

	// keepHoursSQL keeps how many lines the channel had in an hour, without the user.
	keepHoursSQL = `INSERT INTO chat_hours (channel_id, user_key, hour, lines)
SELECT channel_id, '', hour, lines FROM chat_hours
WHERE channel_id = $1 AND user_key = $2 AND hour * 3600000 <= $3
ON CONFLICT (channel_id, user_key, hour) DO UPDATE SET lines = chat_hours.lines + excluded.lines`

	tombstonesSQL = `SELECT user_hash, until FROM forgotten WHERE channel_id = $1`

	// forgetScan bounds the rows about a user that are found at a time, and forgetStep those of them that are removed in
	// one transaction. Between two of these others can write.
	forgetScan = 50_000
	forgetStep = 500
)

// ForgetPerson implements store.People.
func (s Store) ForgetPerson(
	ctx context.Context, channel store.Channel, name string, until time.Time,
) (removed map[string]int64, err error) {
	name = store.CleanText(name)
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		// What this transaction changes must not be remembered from before when the next one begins.
		defer s.channels.forget()
		removed, err = forgetIndexed(ctx, tx, channel, name, until)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("removing what is stored about a user: %w", err)
	}
	// Nothing can be added to the rest any more. To find it, all lines of the channel are read, for which nobody who
	// stores events must wait.
	for _, table := range personTables {
		if table.folded {
			continue
		}
		count, err := s.forgetFound(ctx, table, channel, name, until)
		removed[table.kind] += count
		if err != nil {
			return removed, fmt.Errorf("removing rows of %s about a user: %w", table.Name, err)
		}
	}
	return removed, nil
}

// forgetIndexed stores the tombstone of a user, and removes what an index finds.
func forgetIndexed(
	ctx context.Context, tx Tx, channel store.Channel, name string, until time.Time,
) (removed map[string]int64, err error) {
	if _, err := tx.Exec(ctx, insertChannelSQL,
		channelArguments(channel, store.CleanText(channel.Name))...); err != nil {
		return nil, fmt.Errorf("inserting the channel: %w", err)
	}
	const find = `SELECT id FROM channels WHERE server_key = $1 AND name_key = $2`
	id, _, err := selectOne(ctx, tx, find, channelArguments(channel), scanValue[int64])
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, tombstoneSQL, until.UnixMilli(), id); err != nil {
		return nil, fmt.Errorf("marking the channel: %w", err)
	}
	tombstone := [][]any{{id, store.PersonHash(channel, name), until.UnixMilli()}}
	if _, err := tx.ExecAll(ctx, forgottenTable.Upsert(), tombstone); err != nil {
		return nil, fmt.Errorf("storing the tombstone: %w", err)
	}
	if _, err := tx.Exec(ctx, keepHoursSQL, id, store.Fold(name), until.UnixMilli()); err != nil {
		return nil, fmt.Errorf("keeping the hours: %w", err)
	}
	removed = map[string]int64{}
	for _, table := range personTables {
		if !table.folded {
			continue
		}
		condition, arguments := table.until(channel, []any{store.Fold(name)}, until)
		count, err := tx.Exec(ctx, "DELETE FROM "+table.Name+condition, arguments...)
		if err != nil {
			return nil, fmt.Errorf("removing rows of %s: %w", table.Name, err)
		}
		removed[table.kind] += count
	}
	return removed, nil
}

// until is condition for the rows until a time. A user's row and hours have no time of their own.
func (t personTable) until(
	channel store.Channel, spellings []any, until time.Time,
) (condition string, arguments []any) {
	condition, arguments = t.condition(channel, spellings)
	arguments = append(arguments, until.UnixMilli())
	return condition + fmt.Sprintf(" AND %s <= $%d", t.at, len(arguments)), arguments
}

// forgetFound removes the rows about a user, or the user's name from them.
func (s Store) forgetFound(
	ctx context.Context, t personTable, channel store.Channel, name string, until time.Time,
) (count int64, err error) {
	for {
		keys, err := s.forgettable(ctx, t, channel, name, until)
		if err != nil {
			return count, err
		}
		for some := range slices.Chunk(keys, forgetStep) {
			statement := "DELETE FROM " + t.Name
			if t.anonymous != "" {
				statement = "UPDATE " + t.Name + " SET " + t.anonymous
			}
			statement += ` WHERE channel_id = ` + channelID + ` AND ` + t.key + ` IN (` + placeholders(3, len(some)) + `)`
			changed, err := s.db.Exec(ctx, statement, channelArguments(channel, some...)...)
			if err != nil {
				return count, err
			}
			count += changed
		}
		if len(keys) < forgetScan {
			return count, nil
		}
	}
}

// forgettable returns the keys of rows about a user.
func (s Store) forgettable(
	ctx context.Context, t personTable, channel store.Channel, name string, until time.Time,
) (keys []any, err error) {
	keyType := "text"
	if t.numbered {
		keyType = "bigint"
	}
	err = s.db.ReadAll(ctx, func(ctx context.Context, tx Tx) error {
		spellings, err := t.spellings(ctx, tx, channel, name)
		if err != nil || len(spellings) == 0 {
			return err
		}
		condition, arguments := t.until(channel, spellings, until)
		arguments = append(arguments, forgetScan)
		find := fmt.Sprintf("SELECT %s FROM %s%s LIMIT $%d", t.key, t.Name, condition, len(arguments))
		keys, err = Select(ctx, tx, find, arguments, func(key *any) []any { return []any{&cell{keyType, key}} })
		return err
	})
	return keys, err
}

// tombstones are the times until which nothing may be stored about users, by store.PersonHash.
type tombstones map[string]int64

// findTombstones returns those of a channel.
func findTombstones(ctx context.Context, tx Tx, channel channelRow) (tombstones, error) {
	found := tombstones{}
	type tombstone struct {
		hash  string
		until int64
	}
	err := each(ctx, tx, tombstonesSQL, []any{channel.id},
		func(row *tombstone) []any { return []any{&row.hash, &row.until} },
		func(row tombstone) { found[row.hash] = row.until })
	if err != nil {
		return nil, fmt.Errorf("reading who was forgotten: %w", err)
	}
	return found, nil
}

func (t tombstones) cover(channel store.Channel, name string, at time.Time) bool {
	until, found := t[store.PersonHash(channel, name)]
	return found && at.UnixMilli() <= until
}

// withoutForgotten returns the events that may be stored. Those of the present, which are after every tombstone, cost
// nothing.
func withoutForgotten(
	ctx context.Context, tx Tx, events []store.Event, channels map[store.Channel]channelRow,
) (kept []store.Event, err error) {
	found := map[int64]tombstones{}
	for _, event := range events {
		channel := channels[foldChannel(event.Channel)]
		if event.At.UnixMilli() > channel.forgottenTo {
			kept = append(kept, event)
			continue
		}
		if found[channel.id] == nil {
			if found[channel.id], err = findTombstones(ctx, tx, channel); err != nil {
				return nil, err
			}
		}
		covered := func(name string) bool { return found[channel.id].cover(event.Channel, name, event.At) }
		if event.Fact = withoutPerson(event.Fact, covered); event.Fact != nil {
			kept = append(kept, event)
		}
	}
	return kept, nil
}

// withoutPerson returns what of a fact may be stored. Nil: nothing.
func withoutPerson(fact store.Fact, forgotten func(name string) bool) store.Fact {
	var name string
	switch fact := fact.(type) {
	case store.UserJoined:
		name = fact.Username
	case store.UserLeft:
		name = fact.Username
	case store.ChatLine:
		name = fact.Username
	case store.Action:
		name = fact.Username
	case store.MediaPlayed:
		if forgotten(fact.QueuedBy) {
			fact.QueuedBy = ""
		}
		return fact
	default:
		return fact
	}
	if forgotten(name) {
		return nil
	}
	return fact
}
