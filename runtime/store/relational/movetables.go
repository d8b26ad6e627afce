package relational

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// kind is what a column holds. Databases differ in how they answer a truth value.
type kind int

const (
	text kind = iota
	number
	truth
	bytes
)

type movedColumn struct {
	name string
	kind kind
}

// movedTable is a table as Move sees it.
type movedTable struct {
	name    string
	columns []movedColumn
	// channel is where the channel's id is, -1: nowhere.
	channel int
	// merge is what becomes of a row that is there. Empty: it stays, and the first column is the key.
	merge string
	// numbered says that the target gives numbers to new rows, which must be others than the moved ones'.
	numbered bool
}

// columns parses "name kind, …". Without a kind it is a text.
func columns(list string) (parsed []movedColumn) {
	kinds := map[string]kind{"": text, "number": number, "truth": truth, "bytes": bytes}
	for one := range strings.SplitSeq(list, ", ") {
		name, kind, _ := strings.Cut(one, " ")
		parsed = append(parsed, movedColumn{name, kinds[kind]})
	}
	return parsed
}

// movedTables are all but identity and channels. What both databases may have changed merges as Apply
// merges it; of counts the greater stands, since one of the two has what the other had and more.
var movedTables = []movedTable{
	{
		name: "users", channel: 0,
		columns: columns("channel_id number, name_key, name, name_at number, first_seen number, last_seen number, " +
			"chat_lines number, imported_lines number, imported_ms number, imported_twice number"),
		merge: `(channel_id, name_key) DO UPDATE SET
  name = CASE WHEN excluded.name_at > users.name_at THEN excluded.name ELSE users.name END` +
			lesser("users", "first_seen") + greater("users", "name_at", "last_seen", "chat_lines",
			"imported_lines", "imported_ms", "imported_twice") + `
WHERE excluded.name_at > users.name_at OR excluded.last_seen > users.last_seen
  OR excluded.first_seen < users.first_seen OR excluded.chat_lines > users.chat_lines
  OR excluded.imported_ms > users.imported_ms OR excluded.imported_twice > users.imported_twice`,
	},
	{
		name: "presence", channel: 1, columns: columns("event_id, channel_id number, user_key, joined truth, at number"),
	},
	{
		name: "watches", channel: 0, columns: columns("channel_id number, since number, until number"),
		merge: `(channel_id, since) DO UPDATE SET until = excluded.until WHERE excluded.until > watches.until`,
	},
	{
		name: "chat", channel: 1, columns: columns("event_id, channel_id number, at number, username, text"),
	},
	{
		name: "user_counts", channel: 1,
		columns: columns("event_id, channel_id number, at number, chat number, connected number"),
	},
	{
		name: "user_actions", channel: 1,
		columns: columns("event_id, channel_id number, at number, username, action_type, details"),
	},
	{
		name: "high_water", channel: 0,
		columns: columns("channel_id number, chat number, chat_at number, connected number, connected_at number"),
		merge: `(channel_id) DO UPDATE SET` + highWaterMerge + `
WHERE excluded.chat > high_water.chat OR excluded.connected > high_water.connected
  OR excluded.chat = high_water.chat AND excluded.chat_at < high_water.chat_at
  OR excluded.connected = high_water.connected AND excluded.connected_at < high_water.connected_at`,
	},
	{
		name: "status", channel: 0, columns: columns("channel_id number, field, value, at number, event_id"),
		merge: `(channel_id, field) DO UPDATE SET
  value = excluded.value, at = excluded.at, event_id = excluded.event_id
WHERE (excluded.at, excluded.event_id) > (status.at, status.event_id)`,
	},
	{
		name: "outbound", channel: 1, numbered: true,
		columns: columns("id number, channel_id number, enqueued_at number, text, client_id, sent_at number, " +
			"abandoned_at number, retry_count number, last_attempt_at number, last_error, claimed_by, " +
			"claimed_until number, claimed_since number, offers number"),
		// What was sent stays sent, or it would be said again.
		merge: `(id) DO UPDATE SET sent_at = excluded.sent_at, abandoned_at = excluded.abandoned_at,
  retry_count = excluded.retry_count, last_attempt_at = excluded.last_attempt_at, last_error = excluded.last_error,
  claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, claimed_since = excluded.claimed_since,
  offers = excluded.offers
WHERE outbound.text = excluded.text AND outbound.enqueued_at = excluded.enqueued_at AND outbound.sent_at IS NULL
  AND (excluded.sent_at IS NOT NULL OR outbound.abandoned_at IS NULL
    AND (excluded.abandoned_at IS NOT NULL OR excluded.retry_count > outbound.retry_count))`,
	},
	{
		name: "kv", channel: 0,
		columns: columns("channel_id number, plugin, key, value, created_at number, updated_at number, expires_at number"),
		merge: `(channel_id, plugin, key) DO UPDATE SET
  value = excluded.value, updated_at = excluded.updated_at, expires_at = excluded.expires_at
WHERE excluded.updated_at > kv.updated_at`,
	},
	{
		name: "dead_letters", channel: -1, numbered: true,
		columns: columns("id number, at number, subject, msg_id, reason, payload bytes, size number"),
		merge:   `DO NOTHING`,
	},
}

// greater sets columns to the greater of what is there and what comes.
func greater(table string, names ...string) (set string) {
	for _, name := range names {
		set += fmt.Sprintf(",\n  %[2]s = CASE WHEN excluded.%[2]s > %[1]s.%[2]s THEN excluded.%[2]s ELSE %[1]s.%[2]s END",
			table, name)
	}
	return set
}

func lesser(table, name string) string {
	return fmt.Sprintf(",\n  %[2]s = CASE WHEN excluded.%[2]s < %[1]s.%[2]s THEN excluded.%[2]s ELSE %[1]s.%[2]s END",
		table, name)
}

func (t movedTable) names() (names []string) {
	for _, column := range t.columns {
		names = append(names, column.name)
	}
	return names
}

func (t movedTable) asTable() Table { return Table{Name: t.name, Columns: t.names()} }

// insert is the statement whose arguments are a row.
func (t movedTable) insert() string {
	var values []string
	for i := range t.columns {
		values = append(values, "$"+strconv.Itoa(i+1))
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(t.names(), ", ") + ") VALUES (" +
		strings.Join(values, ", ") + ") ON CONFLICT " + t.merge
}

// each hands on the rows of a table, one after the other, in the order of their first two columns: targets are
// written in one order.
func (t movedTable) each(ctx context.Context, from Executor, do func(row []any) error) error {
	rows, err := from.Query(ctx, "SELECT "+strings.Join(t.names(), ", ")+" FROM "+t.name+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row := make([]any, len(t.columns))
		into := make([]any, len(t.columns))
		for i, column := range t.columns {
			into[i] = &cell{column.kind, &row[i]}
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
		if err := do(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	return nil
}

// cell reads a value of a kind. NULL is nil.
type cell struct {
	kind kind
	into *any
}

// Scan implements sql.Scanner.
func (c *cell) Scan(column any) (err error) {
	if column == nil {
		if *c.into = nil; c.kind == bytes {
			*c.into = []byte{} // to a driver no bytes may be NULL
		}
		return nil
	}
	switch c.kind {
	case text:
		*c.into, err = scanned[string](column)
	case number:
		*c.into, err = scanned[int64](column)
	case truth:
		*c.into, err = scanned[bool](column)
	case bytes:
		var value []byte
		value, err = scanned[[]byte](column)
		*c.into = append([]byte{}, value...)
	}
	return err
}

// scanned converts as database/sql does.
func scanned[T any](column any) (T, error) {
	var value sql.Null[T]
	if err := value.Scan(column); err != nil {
		return value.V, fmt.Errorf("a value of another type than its column: %w", err)
	}
	return value.V, nil
}
