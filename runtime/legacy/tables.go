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

// records imports the maxima of users. The store merges them with its own.
func (i *importer) records(ctx context.Context) error {
	const name = "channel_stats"
	columns := []string{
		"max_users", "max_users_timestamp", "max_connected", "max_connected_timestamp", "last_updated",
	}
	var events []store.Event
	_, err := i.read(ctx, name, "1", columns, func(table *Table, r row) error {
		chat, chatOK := r.count("max_users", maxCount)
		connected, connectedOK := r.count("max_connected", maxCount)
		if !chatOK || !connectedOK {
			table.skip(badNumber)
			return nil
		}
		before := len(events)
		if at, ok := firstTime(r, "max_users_timestamp", "last_updated"); ok && chat > 0 {
			events = append(events, i.record(at, store.HighWater{Chat: chat}))
		}
		if at, ok := firstTime(r, "max_connected_timestamp", "last_updated"); ok && connected > 0 {
			events = append(events, i.record(at, store.HighWater{Connected: &connected}))
		}
		if len(events) == before {
			table.skip("without a record and its time")
			return nil
		}
		table.Imported++
		return nil
	})
	if err != nil {
		return err
	}
	return i.apply(ctx, name, events)
}

// record returns an event for a maximum. It needs no ID, since it has no row of its own.
func (i *importer) record(at time.Time, maximum store.HighWater) store.Event {
	return store.Event{Channel: i.Channel, At: at, Fact: maximum}
}

func firstTime(r row, columns ...string) (time.Time, bool) {
	for _, column := range columns {
		if at, ok := r.past(column); ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// userCounts imports the periodic samples of the number of users.
func (i *importer) userCounts(ctx context.Context) error {
	const name = "user_count_history"
	before, err := i.Target.UserCounts(ctx, i.Channel, unlimited)
	if err != nil {
		return err
	}
	existing := map[store.CountSample]bool{}
	for _, sample := range before {
		existing[sample] = true
	}
	var events []store.Event
	retained := i.retained(name)
	_, err = i.read(ctx, name, "timestamp", []string{"timestamp", "chat_users", "connected_users"},
		func(table *Table, r row) error {
			at, timeOK := r.past("timestamp")
			chat, chatOK := r.count("chat_users", maxCount)
			connected, connectedOK := r.count("connected_users", maxCount)
			sample := store.CountSample{At: at, Chat: chat, Connected: connected}
			switch {
			case !timeOK:
				table.skip(badTime)
			case !chatOK || !connectedOK:
				table.skip(badNumber)
			case existing[sample]:
				table.Existing++
			case retained.older(at):
				table.skip(retained.olderReason())
			default:
				existing[sample] = true
				table.Imported++
				events = append(events, i.event(at, store.UserCount{Chat: chat, Connected: connected}, 0))
			}
			return nil
		})
	if err != nil {
		return err
	}
	return i.apply(ctx, name, events)
}

const unlimited = 1 << 30

func (i *importer) apply(ctx context.Context, table string, events []store.Event) error {
	return i.store(table, events, func(batch []store.Event) error { return i.Target.Apply(ctx, batch) })
}

// maxOutboundAge is the age up to which an outbound line is imported: last month's announcement is of no use.
// It is less than the retention of outbound rows, so that a later import finds the row of a line that was said and does
// not say it again.
const maxOutboundAge = 24 * time.Hour

// outbound imports the lines that are still to be said.
func (i *importer) outbound(ctx context.Context) error {
	columns := []string{"id", "timestamp", "message", "sent", "retry_count", "last_error", "error_message"}
	_, err := i.read(ctx, "outbound_messages", "timestamp, id", columns, func(table *Table, r row) error {
		at, ok := r.past("timestamp")
		sent, _ := r.number("sent")
		attempts, _ := r.count("retry_count", store.MaxAttempts)
		failed := r.text("last_error") != "" || r.text("error_message") != ""
		switch {
		case sent != 0 && failed:
			table.skip("abandoned")
		case sent != 0:
			table.skip("already said")
		case !ok:
			table.skip(badTime)
		case attempts >= store.MaxAttempts-1:
			table.skip("failed too often")
		case time.Since(at) > maxOutboundAge:
			table.skip("older than a day")
		case r.text("message") == "":
			table.skip("empty")
		case strings.HasPrefix(r.text("message"), "/"):
			// Whoever could queue a line there could queue a command. Here that takes a permission of its own.
			table.skip("a command")
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
		return fmt.Errorf("storing an outbound line: %w", err)
	}
	table.Imported++
	return nil
}

// isImported reports whether a key has names that a request for it can have.
func isImported(key store.KVKey) bool {
	return key.Plugin != "" && key.Key != "" && !store.IsSubjectPlugin(key.Plugin)
}

// keyValue imports the values of plugins, except for keys that the database has: their values are newer, or the same.
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
		case !isImported(key):
			table.skip("without a plugin or a key, or of a plugin that has subjects of its own here")
			return nil
		case !json.Valid([]byte(entry.Value)):
			table.skip("with a value that is not JSON")
			return nil
		case !ok && r.value("expires_at") != nil:
			table.skip(badTime)
			return nil
		case ok && !expires.After(now):
			table.skip("expired")
			return nil
		}
		_, exists, err := i.Target.KVGet(ctx, key, now)
		switch {
		case err != nil:
			return err
		case exists:
			table.Existing++
			return nil
		}
		table.Imported++
		_, err = i.Target.KVSet(ctx, entry)
		return err
	})
	return err
}

// Reasons for skipping tables of several programs.
const (
	ofPlugins   = "tables of plugins are not supported"
	oldSettings = "settings of the old bot"
	unknownTime = "without the time when it was queued or played"
)

// skippedTables are the tables of other bots that are not imported, and why.
var skippedTables = map[string]string{
	"current_status":           "the state of the old bot",
	"api_tokens":               "tokens of the old web server",
	"plugin_table_schemas":     ofPlugins,
	"plugin_schema_migrations": ofPlugins,
	"videos":                   unknownTime,
	"video_stats":              unknownTime,
	"version":                  oldSettings,
	"modules":                  oldSettings,
	"twitch_channels":          oldSettings,
	"cookies":                  "a game of the old bot",
}

// otherTables lists all other tables in the summary, which shows that they were not imported.
func (i *importer) otherTables(ctx context.Context) error {
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
		reason, known := skippedTables[name]
		if !known {
			reason = "a table of a plugin or of another program"
		}
		if rows > 0 {
			table.Skipped[reason] = rows
		}
	}
	return nil
}
