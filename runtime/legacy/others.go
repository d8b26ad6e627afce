package legacy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// freshOutbound is how old a line may be that still waits to be said: nobody wants to read last
// month's announcement. It is also less than rows are kept that say that a line was said, so that a
// later import does not say it again.
const freshOutbound = 24 * time.Hour

// outbound takes the lines that wait to be said.
func (i *importer) outbound(ctx context.Context) error {
	columns := []string{"id", "timestamp", "message", "sent", "retry_count", "last_error", "error_message"}
	_, err := i.read(ctx, "outbound_messages", "timestamp, id", columns, func(table *Table, r row) error {
		at, ok := r.past("timestamp")
		sent, _ := r.number("sent")
		tries, _ := r.count("retry_count")
		failed := r.text("last_error") != "" || r.text("error_message") != ""
		switch {
		case sent != 0 && failed:
			table.leave("given up")
		case sent != 0:
			table.leave("said already")
		case !ok:
			table.leave(badTime)
		case tries >= store.MaxAttempts-1:
			table.leave("failed too often")
		case time.Since(at) > freshOutbound:
			table.leave("waiting for more than a day, too old to be said")
		case r.text("message") == "":
			table.leave("empty")
		default:
			return i.enqueue(ctx, table, at, r)
		}
		return nil
	})
	return err
}

func (i *importer) enqueue(ctx context.Context, table *Table, at time.Time, r row) error {
	number, _ := r.number("id")
	id := i.event(at, store.Action{Details: r.text("message")}, int(number)).ID
	line := store.OutboundLine{Text: r.text("message"), ClientID: id, At: at}
	if _, err := i.Target.Enqueue(ctx, i.Channel, line); err != nil {
		return fmt.Errorf("storing a line to be said: %w", err)
	}
	table.Taken++
	return nil
}

// keyValue takes what plugins kept, unless the key has a value here: that is newer, or the same.
func (i *importer) keyValue(ctx context.Context) error {
	const name = "plugin_kv_storage"
	if !i.Source.has(name, "value_json") {
		return nil
	}
	now := time.Now()
	columns := []string{"plugin_name", "key", "value_json", "expires_at", "updated_at"}
	_, err := i.read(ctx, name, "plugin_name, key", columns, func(table *Table, r row) error {
		key := store.KVKey{Channel: i.Channel, Plugin: r.text("plugin_name"), Key: r.text("key")}
		entry := store.KVEntry{KVKey: key, Value: r.text("value_json"), At: now}
		if at, ok := r.past("updated_at"); ok {
			entry.At = at
		}
		expires, ok := r.time("expires_at")
		entry.Expires = expires
		switch {
		case key.Plugin == "" || key.Key == "":
			table.leave("without a plugin or a key")
			return nil
		case !json.Valid([]byte(entry.Value)):
			table.leave("with a value that is not JSON")
			return nil
		case !ok && r.value("expires_at") != nil:
			table.leave(badTime)
			return nil
		case ok && !expires.After(now):
			table.leave("expired")
			return nil
		}
		_, exists, err := i.Target.KVGet(ctx, key, now)
		switch {
		case err != nil:
			return err
		case exists:
			table.Here++
			return nil
		}
		table.Taken++
		return i.Target.KVSet(ctx, entry)
	})
	return err
}

// leftTables are those of the Python bot that nothing is taken from.
var leftTables = map[string]string{
	"current_status":           "the old bot's state; the new one tells its own",
	"api_tokens":               "tokens of the old web server, which open nothing here",
	"plugin_table_schemas":     "plugins' tables are not served",
	"plugin_schema_migrations": "plugins' tables are not served",
}

// rest names all other tables, so that nobody believes them taken.
func (i *importer) rest(ctx context.Context) error {
	done := []string{"alembic_version"}
	for _, table := range i.summary.Tables {
		done = append(done, table.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Source.columns)) {
		if slices.Contains(done, name) || strings.HasPrefix(name, "sqlite_") {
			continue
		}
		rows, err := i.Source.count(ctx, name)
		if err != nil {
			return err
		}
		table := i.summary.table(name, rows)
		reason, known := leftTables[name]
		if !known {
			reason = "a plugin's table, or nothing of the Python bot's"
		}
		if rows > 0 {
			table.Left[reason] = rows
		}
	}
	return nil
}
