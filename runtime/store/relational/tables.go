package relational

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Table is a table as Apply and Move write it.
type Table struct {
	Name string
	// Columns are the names of all columns.
	Columns []string

	kinds []columnKind
	// channel is the index of the column channel_id, -1 if there is none.
	channel int
	// merge is the conflict clause of an upsert. If empty, an existing row stays as it is, and the first column is the
	// key.
	merge string
	// sequence reports whether the database assigns the column id.
	sequence bool
}

// columnKind is the type of a column's values in Go. It matters for copying, since databases return booleans and bytes
// differently.
type columnKind int

const (
	text columnKind = iota
	number
	boolean
	binary
)

// newTable parses columns: "name kind, …", where no kind is text.
func newTable(name, columns, merge string) Table {
	kinds := map[string]columnKind{"": text, "number": number, "boolean": boolean, "binary": binary}
	table := Table{Name: name, channel: -1, merge: merge}
	for i, column := range strings.Split(columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		table.Columns = append(table.Columns, name)
		table.kinds = append(table.kinds, kinds[kind])
		if name == "channel_id" {
			table.channel = i
		}
	}
	return table
}

func (t Table) withSequence() Table {
	t.sequence = true
	return t
}

// The tables that belong to channels, and dead letters. A merge keeps what two databases or two events have in common:
// each column is a minimum, a maximum, or the value of the last writer by time. The CASE expressions stand for the
// function greatest, which SQLite calls max.
var (
	// Apply adds to chat_lines instead; see userSQL. Of two copies of a count the greater is the one that continues.
	usersTable = newTable("users", "channel_id number, name_key, name, name_at number, first_seen number, "+
		"last_seen number, chat_lines number, imported_lines number, imported_ms number, imported_twice number",
		`(channel_id, name_key) DO UPDATE SET
  name = CASE WHEN excluded.name_at > users.name_at THEN excluded.name ELSE users.name END`+
			merged("<", "users", "first_seen")+merged(">", "users", "name_at", "last_seen", "chat_lines",
			"imported_lines", "imported_ms", "imported_twice")+`
WHERE excluded.name_at > users.name_at OR excluded.last_seen > users.last_seen
  OR excluded.first_seen < users.first_seen OR excluded.chat_lines > users.chat_lines
  OR excluded.imported_ms > users.imported_ms OR excluded.imported_twice > users.imported_twice`)

	presenceTable = newTable("presence", "event_id, channel_id number, user_key, joined boolean, at number", "")

	watchesTable = newTable("watches", "channel_id number, since number, until number",
		`(channel_id, since) DO UPDATE SET until = excluded.until WHERE excluded.until > watches.until`)

	chatTable = newTable("chat", "event_id, channel_id number, at number, username, text", "")

	userCountsTable = newTable("user_counts",
		"event_id, channel_id number, at number, chat number, connected number", "")

	actionsTable = newTable("user_actions",
		"event_id, channel_id number, at number, username, action_type, details", "")

	// Of equal maxima the earliest time counts.
	highWaterTable = newTable("high_water",
		"channel_id number, chat number, chat_at number, connected number, connected_at number",
		`(channel_id) DO UPDATE SET
  chat_at = CASE WHEN excluded.chat > high_water.chat
      OR excluded.chat = high_water.chat AND excluded.chat_at < high_water.chat_at
    THEN excluded.chat_at ELSE high_water.chat_at END,
  connected_at = CASE WHEN excluded.connected > high_water.connected
      OR excluded.connected = high_water.connected AND excluded.connected_at < high_water.connected_at
    THEN excluded.connected_at ELSE high_water.connected_at END`+merged(">", "high_water", "chat", "connected")+`
WHERE excluded.chat > high_water.chat OR excluded.connected > high_water.connected
  OR excluded.chat = high_water.chat AND excluded.chat_at < high_water.chat_at
  OR excluded.connected = high_water.connected AND excluded.connected_at < high_water.connected_at`)

	// One row for each field, since each field has its own last writer.
	statusTable = newTable("status", "channel_id number, field, value, at number, event_id",
		`(channel_id, field) DO UPDATE SET
  value = excluded.value, at = excluded.at, event_id = excluded.event_id
WHERE (excluded.at, excluded.event_id) > (status.at, status.event_id)`)

	// A message that was sent stays sent, or it would be sent again. Reports merge by sentSQL and failedSQL.
	outboundTable = newTable("outbound", "id number, channel_id number, enqueued_at number, text, client_id, "+
		"sent_at number, abandoned_at number, retry_count number, last_attempt_at number, last_error, claimed_by, "+
		"claimed_until number, claimed_since number, offers number",
		`(id) DO UPDATE SET sent_at = excluded.sent_at, abandoned_at = excluded.abandoned_at,
  retry_count = excluded.retry_count, last_attempt_at = excluded.last_attempt_at, last_error = excluded.last_error,
  claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, claimed_since = excluded.claimed_since,
  offers = excluded.offers
WHERE outbound.text = excluded.text AND outbound.enqueued_at = excluded.enqueued_at AND outbound.sent_at IS NULL
  AND (excluded.sent_at IS NOT NULL OR outbound.abandoned_at IS NULL
    AND (excluded.abandoned_at IS NOT NULL OR excluded.retry_count > outbound.retry_count))`).withSequence()

	kvTable = newTable("kv",
		"channel_id number, plugin, key, value, created_at number, updated_at number, expires_at number",
		`(channel_id, plugin, key) DO UPDATE SET
  value = excluded.value, updated_at = excluded.updated_at, expires_at = excluded.expires_at
WHERE excluded.updated_at > kv.updated_at`)

	deadLettersTable = newTable("dead_letters",
		"id number, at number, subject, msg_id, reason, payload binary, size number", `DO NOTHING`).withSequence()
)

// copiedTables are the tables that Move copies row by row, after identity and channels.
var copiedTables = []Table{
	usersTable, presenceTable, watchesTable, chatTable, userCountsTable, actionsTable, highWaterTable, statusTable,
	outboundTable, kvTable, deadLettersTable,
}

// TableNames returns the names of all tables except those of the migrations, each after the tables that it refers to.
func TableNames() []string {
	names := []string{"identity", "channels"}
	for _, table := range copiedTables {
		names = append(names, table.Name)
	}
	return names
}

// merged returns assignments that set each column to the greater (>) or the smaller (<) of its two values.
func merged(operator, table string, columns ...string) (set string) {
	for _, column := range columns {
		set += fmt.Sprintf(",\n  %[3]s = CASE WHEN excluded.%[3]s %[1]s %[2]s.%[3]s THEN excluded.%[3]s ELSE %[2]s.%[3]s END",
			operator, table, column)
	}
	return set
}

// upsert returns the statement whose arguments are a row.
func (t Table) upsert() string {
	var parameters []string
	for i := range t.Columns {
		parameters = append(parameters, "$"+strconv.Itoa(i+1))
	}
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (" +
		strings.Join(parameters, ", ") + ") ON CONFLICT " + t.merge
}

// each calls do with each row of the table, ordered by the first two columns, so that all targets are written in one
// order.
func (t Table) each(ctx context.Context, from Executor, do func(row []any) error) error {
	rows, err := from.Query(ctx, "SELECT "+strings.Join(t.Columns, ", ")+" FROM "+t.Name+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row := make([]any, len(t.Columns))
		destinations := make([]any, len(t.Columns))
		for i, kind := range t.kinds {
			destinations[i] = &cell{kind, &row[i]}
		}
		if err := rows.Scan(destinations...); err != nil {
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

// cell scans a value of a kind. NULL becomes nil.
type cell struct {
	kind  columnKind
	value *any
}

// Scan implements sql.Scanner.
func (c *cell) Scan(column any) (err error) {
	if column == nil {
		if *c.value = nil; c.kind == binary {
			*c.value = []byte{} // a driver may return NULL for an empty value
		}
		return nil
	}
	switch c.kind {
	case text:
		*c.value, err = convert[string](column)
	case number:
		*c.value, err = convert[int64](column)
	case boolean:
		*c.value, err = convert[bool](column)
	case binary:
		var value []byte
		value, err = convert[[]byte](column)
		*c.value = append([]byte{}, value...)
	}
	return err
}

// convert converts a value as database/sql does.
func convert[T any](column any) (T, error) {
	var value sql.Null[T]
	if err := value.Scan(column); err != nil {
		return value.V, fmt.Errorf("converting a column: %w", err)
	}
	return value.V, nil
}
