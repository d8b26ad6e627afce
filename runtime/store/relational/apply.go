package relational

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// countedUsersTable is usersTable with the columns of a user in a batch. Its rows are Counters: unlike the merge of
// usersTable, that of this one adds the lines, which are those of chat rows that the batch has inserted.
var countedUsersTable = newTable("users", "channel_id bigint, name_key, name, name_at bigint, first_seen bigint, "+
	"last_seen bigint, chat_lines bigint", `(channel_id, name_key) DO UPDATE SET
  name = CASE WHEN (excluded.name_at, excluded.name) > (users.name_at, users.name)
              THEN excluded.name ELSE users.name END`+
	merged(">", "users", "name_at", "last_seen")+merged("<", "users", "first_seen")+`,
  chat_lines = users.chat_lines + excluded.chat_lines`)

// countedHoursTable is hoursTable as Apply merges it: the lines are those of chat rows that are inserted with it.
var countedHoursTable = newTable(hoursTable.Name, "channel_id bigint, user_key, hour bigint, lines bigint",
	`(channel_id, user_key, hour) DO UPDATE SET lines = chat_hours.lines + excluded.lines WHERE excluded.lines > 0`)

// Apply implements store.Store.
func (s Store) Apply(ctx context.Context, events []store.Event) error {
	normal := store.Normalize(events)
	if len(normal) == 0 {
		return nil
	}
	err := s.apply(ctx, normal, true)
	if errors.Is(err, ErrChanged) { // pruned by another service
		err = s.apply(ctx, normal, false)
	}
	return err
}

// apply stores normalized events. With remembered, it fails with ErrChanged if channels are not as they were.
func (s Store) apply(ctx context.Context, events []store.Event, remembered bool) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		channels, err := s.findChannels(ctx, tx, events, remembered)
		if err != nil {
			return err
		}
		stored, err := withoutForgotten(ctx, tx, events, channels)
		if err != nil {
			return err
		}
		b := newBatch()
		for _, event := range stored {
			b.add(event, channels[foldChannel(event.Channel)])
		}
		return b.write(ctx, tx)
	})
	if err != nil {
		s.channels.forget() // what it remembered may be the cause
	}
	return err
}

// batch collects the rows of a transaction. They are written in one order by all services, since two transactions that
// lock rows in the same order cannot deadlock.
type batch struct {
	inserts map[string]*insertion // by the table's name
	users   map[userKey]*userRow
	counted map[EventKey]bool // the chat lines that count for their users
	// Arguments of the statements that merge rows.
	highWater, status, watches, sent, failed [][]any
}

// insertion is the rows of one table, each key once.
type insertion struct {
	rows  [][]any
	known map[EventKey]bool
}

type userKey struct {
	channel int64
	name    string // folded
}

// userRow is the merged events of a batch about a user.
type userRow struct {
	name                string
	nameAt              int64
	firstSeen, lastSeen int64
}

func newBatch() *batch {
	return &batch{inserts: map[string]*insertion{}, users: map[userKey]*userRow{}, counted: map[EventKey]bool{}}
}

func (b *batch) add(event store.Event, channel channelRow) {
	at := event.At.UnixMilli()
	switch fact := event.Fact.(type) {
	case store.UserJoined:
		b.presence(event.ID, channel, fact.Username, true, at)
	case store.UserLeft:
		b.presence(event.ID, channel, fact.Username, false, at)
	case store.ChatLine:
		b.chatLine(event.ID, channel, fact, at)
	case store.UserCount:
		b.insert(userCountsTable, event.ID, channel.id, at, int64(fact.Chat), int64(fact.Connected))
	case store.HighWater:
		connected := 0
		if fact.Connected != nil {
			connected = *fact.Connected
		}
		b.highWater = append(b.highWater, []any{channel.id, int64(fact.Chat), at, int64(connected), at})
	case store.Status:
		b.addStatus(event.ID, channel, fact, at)
	case store.Action:
		by := fact.Plugin
		b.insert(actionsTable, event.ID, channel.id, at, fact.Username, fact.Type, fact.Details, by.Plugin, by.Call, by.Did,
			by.Args, by.Said, by.Problem)
	case store.MediaPlayed:
		b.insert(mediaTable, event.ID, channel.id, at, fact.ItemKey(), fact.Type, fact.ID, fact.Title, fact.Seconds,
			fact.QueuedBy, millisOrNull(fact.Found))
	case store.OutboundSent:
		b.sent = append(b.sent, sentArguments(fact, event.Channel, at))
	case store.OutboundFailed:
		b.failed = append(b.failed, failedArguments(fact, event.Channel, at))
	}
}

// millisOrNull returns a time in milliseconds, and nil for the zero time.
func millisOrNull(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UnixMilli()
}

func (b *batch) insert(table Table, id string, channel int64, rest ...any) {
	into := b.inserts[table.Name]
	if into == nil {
		into = &insertion{known: map[EventKey]bool{}}
		b.inserts[table.Name] = into
	}
	if key := (EventKey{id, channel}); !into.known[key] {
		into.known[key] = true
		into.rows = append(into.rows, append([]any{id, channel}, rest...))
	}
}

// presence leaves out what may be about a user who was pruned.
func (b *batch) presence(id string, channel channelRow, name string, joined bool, at int64) {
	if at > channel.peoplePrunedTo {
		b.insert(presenceTable, id, channel.id, store.Fold(name), joined, at)
		b.seen(channel.id, name, at)
	}
}

// chatLine leaves out a line that may have been pruned, since it would be counted again, and a user who may have been.
func (b *batch) chatLine(id string, channel channelRow, line store.ChatLine, at int64) {
	if at > channel.prunedTo {
		b.insert(chatTable, id, channel.id, at, line.Username, line.Text)
	}
	if at > channel.peoplePrunedTo {
		b.seen(channel.id, line.Username, at)
		b.counted[EventKey{id, channel.id}] = true
	}
}

func (b *batch) addStatus(id string, channel channelRow, status store.Status, at int64) {
	if since := status.WatchingSince; since != nil {
		b.watches = append(b.watches, []any{channel.id, since.UnixMilli(), max(at, since.UnixMilli())})
	}
	for field, value := range status.Fields {
		b.status = append(b.status, []any{channel.id, field, string(value), at, id})
	}
}

// seen merges as countedUsersTable does.
func (b *batch) seen(channel int64, name string, at int64) {
	key := userKey{channel, store.Fold(name)}
	user := b.users[key]
	if user == nil {
		user = &userRow{name: name, nameAt: at, firstSeen: at, lastSeen: at}
		b.users[key] = user
		return
	}
	if cmp.Or(cmp.Compare(at, user.nameAt), strings.Compare(name, user.name)) > 0 {
		user.name, user.nameAt = name, at
	}
	user.firstSeen, user.lastSeen = min(user.firstSeen, at), max(user.lastSeen, at)
}

func (b *batch) write(ctx context.Context, tx Tx) error {
	users := b.userRows()
	for _, table := range []Table{presenceTable, chatTable, userCountsTable, actionsTable, mediaTable} {
		into := b.inserts[table.Name]
		if into == nil {
			continue
		}
		sortRows(into.rows, 2)
		var counters []Counter
		if table.Name == chatTable.Name && len(users) > 0 {
			counters = []Counter{{countedUsersTable, users, b.speakers(into.rows, users)}}
			users = nil
		}
		if table.Name == chatTable.Name {
			counters = append(counters, b.hours(into.rows)...)
		}
		if err := tx.InsertLater(ctx, table, into.rows, counters...); err != nil {
			return err
		}
	}
	for _, merge := range []struct {
		table, query string
		rows         [][]any
		keys         int
	}{
		{usersTable.Name, countedUsersTable.Upsert(), users, 2},
		{highWaterTable.Name, highWaterTable.Upsert(), b.highWater, 1},
		{statusTable.Name, statusTable.Upsert(), b.status, 2},
		{watchesTable.Name, watchesTable.Upsert(), b.watches, 2},
		{outboundTable.Name, sentSQL, b.sent, 1},
		{outboundTable.Name, failedSQL, b.failed, 1},
	} {
		if len(merge.rows) == 0 {
			continue
		}
		sortRows(merge.rows, merge.keys)
		if err := tx.ExecLater(ctx, merge.table, merge.query, merge.rows); err != nil {
			return err
		}
	}
	return nil
}

// speakers returns for each row of chat the index in users of the user whose lines it counts for, as Counter.Of.
func (b *batch) speakers(chat, users [][]any) []int {
	index := make(map[userKey]int, len(users))
	for i, row := range users {
		channel, _ := row[0].(int64)
		name, _ := row[1].(string)
		index[userKey{channel, name}] = i
	}
	of := make([]int, len(chat))
	for i, row := range chat {
		of[i] = -1
		if key := EventKeyOf(row); b.counted[key] {
			name, _ := row[3].(string)
			// There is none if the ID is also that of another user's event, whose user is stored without this one.
			if user, stored := index[userKey{key.Channel, store.Fold(name)}]; stored {
				of[i] = user
			}
		}
	}
	return of
}

// hourKey is the key of hoursTable.
type hourKey struct {
	userKey

	hour int64
}

// hours returns the counter of the hours of rows of chat. There is none if no row counts.
func (b *batch) hours(chat [][]any) []Counter {
	keys := make([]hourKey, len(chat))
	index := map[hourKey]int{}
	counter := Counter{Table: countedHoursTable, Of: make([]int, len(chat))}
	for i, row := range chat {
		key := EventKeyOf(row)
		name, _ := row[3].(string)
		at, _ := row[2].(int64)
		keys[i] = hourKey{userKey{key.Channel, store.Fold(name)}, at / time.Hour.Milliseconds()}
		if _, known := index[keys[i]]; b.counted[key] && !known {
			index[keys[i]] = 0
			counter.Rows = append(counter.Rows, []any{key.Channel, keys[i].name, keys[i].hour, int64(0)})
		}
	}
	if len(counter.Rows) == 0 {
		return nil
	}
	sortRows(counter.Rows, 3)
	for i, row := range counter.Rows {
		channel, _ := row[0].(int64)
		name, _ := row[1].(string)
		hour, _ := row[2].(int64)
		index[hourKey{userKey{channel, name}, hour}] = i
	}
	for i, row := range chat {
		counter.Of[i] = -1
		if b.counted[EventKeyOf(row)] {
			counter.Of[i] = index[keys[i]]
		}
	}
	return []Counter{counter}
}

// userRows returns rows of countedUsersTable, without lines.
func (b *batch) userRows() [][]any {
	rows := make([][]any, 0, len(b.users))
	for key, user := range b.users {
		rows = append(rows, []any{
			key.channel, key.name, user.name, user.nameAt, user.firstSeen, user.lastSeen, int64(0),
		})
	}
	sortRows(rows, 2)
	return rows
}

// sortRows sorts rows by their first columns, which are int64 or string. The sort is stable.
func sortRows(rows [][]any, columns int) {
	slices.SortStableFunc(rows, func(a, b []any) int {
		for i := range columns {
			if order := compare(a[i], b[i]); order != 0 {
				return order
			}
		}
		return 0
	})
}

func compare(a, b any) int {
	if number, ok := a.(int64); ok {
		other, _ := b.(int64)
		return cmp.Compare(number, other)
	}
	text, _ := a.(string)
	other, _ := b.(string)
	return strings.Compare(text, other)
}
