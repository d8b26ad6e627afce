package relational

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// Tables of rows that are inserted once, by the id of the event that they are.
var (
	presenceTable  = Table{"presence", []string{"event_id", "channel_id", "user_key", "joined", "at"}}
	chatTable      = Table{"chat", []string{"event_id", "channel_id", "at", "username", "text"}}
	userCountTable = Table{"user_counts", []string{"event_id", "channel_id", "at", "chat", "connected"}}
	actionTable    = Table{
		"user_actions", []string{"event_id", "channel_id", "at", "username", "action_type", "details"},
	}
)

// batch is what events become, in the order in which every service writes it: two transactions that
// lock rows in one order cannot wait for each other.
type batch struct {
	inserts map[string]*inserts
	users   map[userKey]*userRow
	marks   [][]any // the arguments of highWaterSQL
	fields  [][]any // the arguments of statusSQL
	watches [][]any // the arguments of watchSQL
	sent    [][]any // the arguments of sentSQL
	failed  [][]any // the arguments of failedSQL
}

// inserts are rows of one table by their event's id.
type inserts struct {
	table Table
	rows  [][]any
	known map[string]bool
}

type userKey struct {
	channel int64
	key     string
}

// userRow is what a batch says about a user, already merged.
type userRow struct {
	name              string
	nameAt            int64
	firstSeen, seenAt int64
	lines             int64
}

func newBatch() *batch {
	return &batch{inserts: map[string]*inserts{}, users: map[userKey]*userRow{}}
}

// insertOrder is the order in which tables are written.
var insertOrder = []Table{presenceTable, chatTable, userCountTable, actionTable}

// insert takes the first of several rows with one id.
func (b *batch) insert(table Table, id string, rest ...any) {
	into := b.inserts[table.Name]
	if into == nil {
		into = &inserts{table: table, known: map[string]bool{}}
		b.inserts[table.Name] = into
	}
	if !into.known[id] {
		into.known[id] = true
		into.rows = append(into.rows, append([]any{id}, rest...))
	}
}

func (b *batch) add(event store.Event, channel channelRow) error {
	at := event.At.UnixMilli()
	switch fact := event.Fact.(type) {
	case store.UserJoined:
		b.presence(event.ID, channel, fact.Username, true, at)
	case store.UserLeft:
		b.presence(event.ID, channel, fact.Username, false, at)
	case store.ChatLine:
		b.chatLine(event.ID, channel, fact, at)
	case store.UserCount:
		b.insert(userCountTable, event.ID, channel.id, at, int64(fact.Chat), int64(fact.Connected))
	case store.HighWater:
		connected := 0
		if fact.Connected != nil {
			connected = *fact.Connected
		}
		b.marks = append(b.marks, []any{channel.id, int64(fact.Chat), at, int64(connected)})
	case store.Status:
		return b.status(event.ID, channel, fact, at)
	case store.Action:
		b.insert(actionTable, event.ID, channel.id, at, fact.Username, fact.Type, fact.Details)
	case store.OutboundSent:
		b.sent = append(b.sent, sentRow(fact, at))
	case store.OutboundFailed:
		b.failed = append(b.failed, failedRow(fact, at))
	default:
		return fmt.Errorf("%w: unknown kind of fact %T", store.ErrRejected, fact)
	}
	return nil
}

func (b *batch) presence(id string, channel channelRow, name string, joined bool, at int64) {
	b.insert(presenceTable, id, channel.id, store.Fold(name), joined, at)
	b.seen(channel.id, name, at)
}

// chatLine leaves out a line that may have been here before it was pruned: it must not be counted again.
func (b *batch) chatLine(id string, channel channelRow, line store.ChatLine, at int64) {
	if at > channel.prunedTo {
		b.insert(chatTable, id, channel.id, at, line.Username, line.Text)
	}
	b.seen(channel.id, line.Username, at)
}

func (b *batch) status(id string, channel channelRow, status store.Status, at int64) error {
	fields, err := status.Fields()
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrRejected, err)
	}
	if since := status.WatchingSince; since != nil {
		b.watches = append(b.watches, []any{channel.id, since.UnixMilli(), max(at, since.UnixMilli())})
	}
	for field, value := range fields {
		b.fields = append(b.fields, []any{channel.id, field, value, at, id})
	}
	return nil
}

// seen merges as usersSQL does with the row that is there.
func (b *batch) seen(channel int64, name string, at int64) {
	key := userKey{channel, store.Fold(name)}
	user := b.users[key]
	if user == nil {
		user = &userRow{name: name, nameAt: at, firstSeen: at, seenAt: at}
		b.users[key] = user
		return
	}
	if cmp.Or(cmp.Compare(at, user.nameAt), strings.Compare(name, user.name)) > 0 {
		user.name, user.nameAt = name, at
	}
	user.firstSeen, user.seenAt = min(user.firstSeen, at), max(user.seenAt, at)
}

// count adds the lines that were not there to their users'.
func (b *batch) count(added []string) {
	chat := b.inserts[chatTable.Name]
	isNew := make(map[string]bool, len(added))
	for _, id := range added {
		isNew[id] = true
	}
	for _, row := range chat.rows {
		id, _ := row[0].(string)
		channel, _ := row[1].(int64)
		name, _ := row[3].(string)
		if isNew[id] {
			b.users[userKey{channel, store.Fold(name)}].lines++
		}
	}
}

// userRows are the arguments of userSQL.
func (b *batch) userRows() [][]any {
	rows := make([][]any, 0, len(b.users))
	for key, user := range b.users {
		rows = append(rows, []any{
			key.channel, key.key, user.name, user.nameAt, user.firstSeen, user.seenAt, user.lines,
		})
	}
	sortRows(rows, 2)
	return rows
}

// sortRows sorts by the first columns, numbers and texts. Rows that are equal there keep their order.
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
