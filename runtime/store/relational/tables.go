package relational

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Table is a table as Apply and Move write it.
type Table struct {
	Name string
	// Columns are the names of all columns, and Types their types in PostgreSQL: text, bigint, boolean or bytea. Values
	// are string, int64, bool and []byte.
	Columns, Types []string

	// channel is the index of the column channel_id, -1 if there is none.
	channel int
	// merge is the conflict clause of an upsert. If empty, an existing row stays as it is, and the first two columns are
	// the key.
	merge string
	// sequence reports whether the database assigns the column id.
	sequence bool
}

// newTable parses columns: "name type, …", where no type is text.
func newTable(name, columns, merge string) Table {
	table := Table{Name: name, merge: merge}
	for column := range strings.SplitSeq(columns, ", ") {
		name, columnType, _ := strings.Cut(column, " ")
		table.Columns = append(table.Columns, name)
		table.Types = append(table.Types, cmp.Or(columnType, "text"))
	}
	table.channel = slices.Index(table.Columns, "channel_id")
	return table
}

func (t Table) withSequence() Table {
	t.sequence = true
	return t
}

// The tables that belong to channels, and dead letters. A merge gives the same row in any order: each column is a
// minimum, a maximum, or the value of the last writer by time. The CASE expressions stand for the function greatest,
// which SQLite calls max.
var (
	// Apply adds to chat_lines instead; see countedUsersTable. Of two copies of a count the greater is the one that
	// continues.
	usersTable = newTable("users", "channel_id bigint, name_key, name, name_at bigint, first_seen bigint, "+
		"last_seen bigint, chat_lines bigint, imported_lines bigint, imported_ms bigint, imported_twice bigint",
		`(channel_id, name_key) DO UPDATE SET
  name = CASE WHEN excluded.name_at > users.name_at THEN excluded.name ELSE users.name END`+
			merged("<", "users", "first_seen")+merged(">", "users", "name_at", "last_seen", "chat_lines",
			"imported_lines", "imported_ms", "imported_twice")+`
WHERE excluded.name_at > users.name_at OR excluded.last_seen > users.last_seen
  OR excluded.first_seen < users.first_seen OR excluded.chat_lines > users.chat_lines
  OR excluded.imported_ms > users.imported_ms OR excluded.imported_twice > users.imported_twice`)

	presenceTable = newTable("presence", "event_id, channel_id bigint, user_key, joined boolean, at bigint", "")

	watchesTable = newTable("watches", "channel_id bigint, since bigint, until bigint",
		`(channel_id, since) DO UPDATE SET until = excluded.until WHERE excluded.until > watches.until`)

	chatTable = newTable("chat", "event_id, channel_id bigint, at bigint, username, text", "")

	userCountsTable = newTable("user_counts",
		"event_id, channel_id bigint, at bigint, chat bigint, connected bigint", "")

	mediaTable = newTable("media", "event_id, channel_id bigint, at bigint, item_key, media_type, media_id, title, "+
		"seconds bigint, queued_by, found_at bigint", "")

	// Apply adds to lines instead; see countedHoursTable. Of two copies of a count the greater is the one that continues.
	hoursTable = newTable("chat_hours", "channel_id bigint, user_key, hour bigint, lines bigint",
		`(channel_id, user_key, hour) DO UPDATE SET lines = excluded.lines WHERE excluded.lines > chat_hours.lines`)

	actionsTable = newTable("user_actions",
		"event_id, channel_id bigint, at bigint, username, action_type, details, plugin, call_id, did, args, said, problem",
		"")

	// Of equal maxima the earliest time counts.
	highWaterTable = newTable("high_water",
		"channel_id bigint, chat bigint, chat_at bigint, connected bigint, connected_at bigint",
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
	statusTable = newTable("status", "channel_id bigint, field, value, at bigint, event_id",
		`(channel_id, field) DO UPDATE SET
  value = excluded.value, at = excluded.at, event_id = excluded.event_id
WHERE (excluded.at, excluded.event_id) > (status.at, status.event_id)`)

	// A message that was sent stays sent, or it would be sent again. Reports merge by sentSQL and failedSQL.
	outboundTable = newTable("outbound", "id bigint, channel_id bigint, enqueued_at bigint, text, client_id, "+
		"sent_at bigint, abandoned_at bigint, retry_count bigint, last_attempt_at bigint, last_error, claimed_by, "+
		"claimed_until bigint, claimed_since bigint, offers bigint, trace_parent, asker, cancelled_at bigint",
		`(id) DO UPDATE SET sent_at = excluded.sent_at, abandoned_at = excluded.abandoned_at,
  retry_count = excluded.retry_count, last_attempt_at = excluded.last_attempt_at, last_error = excluded.last_error,
  claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, claimed_since = excluded.claimed_since,
  offers = excluded.offers, cancelled_at = excluded.cancelled_at
WHERE outbound.text = excluded.text AND outbound.enqueued_at = excluded.enqueued_at AND outbound.sent_at IS NULL
  AND (excluded.sent_at IS NOT NULL OR outbound.abandoned_at IS NULL
    AND (excluded.abandoned_at IS NOT NULL OR excluded.retry_count > outbound.retry_count))`).withSequence()

	kvTable = newTable("kv",
		"channel_id bigint, plugin, key, value, created_at bigint, updated_at bigint, expires_at bigint, revision bigint",
		`(channel_id, plugin, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
  expires_at = excluded.expires_at, revision = excluded.revision
WHERE (excluded.updated_at, excluded.revision) > (kv.updated_at, kv.revision)`)

	revisionsTable = newTable("kv_revisions", "channel_id bigint, last bigint",
		`(channel_id) DO UPDATE SET last = excluded.last WHERE excluded.last > kv_revisions.last`)

	forgottenTable = newTable("forgotten", "channel_id bigint, user_hash, until bigint",
		`(channel_id, user_hash) DO UPDATE SET until = excluded.until WHERE excluded.until > forgotten.until`)

	deadLettersTable = newTable("dead_letters",
		"id bigint, at bigint, prefix, subject, msg_id, reason, payload bytea, size bigint", `DO NOTHING`).withSequence()

	// Another stream of the same name replaces the position: its sequences begin anew.
	positionsTable = newTable("stream_positions", "stream, created bigint, sequence bigint",
		`(stream) DO UPDATE SET created = excluded.created, sequence = excluded.sequence
WHERE excluded.created > stream_positions.created
  OR excluded.created = stream_positions.created AND excluded.sequence > stream_positions.sequence`)
)

// copiedTables are the tables that Move copies row by row, after identity and channels.
var copiedTables = []Table{
	usersTable, forgottenTable, presenceTable, watchesTable, chatTable, userCountsTable, actionsTable, mediaTable,
	hoursTable, highWaterTable, statusTable, outboundTable, kvTable, revisionsTable, deadLettersTable,
	positionsTable,
}

// TableNames returns the names of all tables except those of the migrations, each after the tables that it refers to.
func TableNames() []string {
	names := []string{"identity", "channels", "kv_usage", "removals"}
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

// KeyColumns returns the names of the columns of an EventKey.
func (t Table) KeyColumns() string { return t.Columns[0] + ", " + t.Columns[1] }

// Merge returns the conflict clause of an upsert, without ON CONFLICT.
func (t Table) Merge() string { return cmp.Or(t.merge, "("+t.KeyColumns()+") DO NOTHING") }

// Upsert returns the statement whose arguments are a row.
func (t Table) Upsert() string {
	var parameters []string
	for i := range t.Columns {
		parameters = append(parameters, "$"+strconv.Itoa(i+1))
	}
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (" +
		strings.Join(parameters, ", ") + ") ON CONFLICT " + t.Merge()
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
		for i, columnType := range t.Types {
			destinations[i] = &cell{columnType, &row[i]}
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

// cell scans a value of a type: databases return booleans and bytes differently. NULL becomes nil.
type cell struct {
	columnType string
	value      *any
}

// Scan implements sql.Scanner.
func (c *cell) Scan(column any) (err error) {
	switch {
	case c.columnType == "bytea":
		value, _ := column.([]byte) // a driver may return NULL for an empty value
		*c.value = append([]byte{}, value...)
	case column == nil:
		*c.value = nil
	case c.columnType == "bigint":
		*c.value, err = convert[int64](column)
	case c.columnType == "boolean":
		*c.value, err = convert[bool](column)
	default:
		*c.value, err = convert[string](column)
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
