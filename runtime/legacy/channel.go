package legacy

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// maxima takes the records, which merge by themselves.
func (i *importer) maxima(ctx context.Context) error {
	const name = "channel_stats"
	columns := []string{
		"max_users", "max_users_timestamp", "max_connected", "max_connected_timestamp", "last_updated",
	}
	var events []store.Event
	_, err := i.read(ctx, name, "1", columns, func(table *Table, r row) error {
		chat, chatOK := r.count("max_users")
		connected, connectedOK := r.count("max_connected")
		if !chatOK || !connectedOK {
			table.leave(badRow)
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
			table.leave("without a record and its time")
			return nil
		}
		table.Taken++
		return nil
	})
	if err != nil {
		return err
	}
	return i.apply(ctx, name, events)
}

// record is an event without a row, which needs no id.
func (i *importer) record(at time.Time, mark store.HighWater) store.Event {
	return store.Event{Channel: i.Channel, At: at, Fact: mark}
}

func firstTime(r row, columns ...string) (time.Time, bool) {
	for _, column := range columns {
		if at, ok := r.past(column); ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// samples takes how many were there.
func (i *importer) samples(ctx context.Context) error {
	const name = "user_count_history"
	before, err := i.Target.UserCounts(ctx, i.Channel, all)
	if err != nil {
		return err
	}
	here := map[store.CountSample]bool{}
	for _, sample := range before {
		here[sample] = true
	}
	var events []store.Event
	_, err = i.read(ctx, name, "timestamp", []string{"timestamp", "chat_users", "connected_users"},
		func(table *Table, r row) error {
			at, timeOK := r.past("timestamp")
			chat, chatOK := r.count("chat_users")
			connected, connectedOK := r.count("connected_users")
			sample := store.CountSample{At: at, Chat: chat, Connected: connected}
			switch {
			case !timeOK:
				table.leave(badTime)
			case !chatOK || !connectedOK:
				table.leave(badRow)
			case here[sample]:
				table.Here++
			default:
				here[sample] = true
				table.Taken++
				events = append(events, i.event(at, store.UserCount{Chat: chat, Connected: connected}, 0))
			}
			return nil
		})
	if err != nil {
		return err
	}
	return i.apply(ctx, name, events)
}

// actions takes what users did with the bot. Commands that were handled twice within a second are one.
func (i *importer) actions(ctx context.Context) error {
	const name = "user_actions"
	before, err := i.Target.Actions(ctx, i.Channel, all)
	if err != nil {
		return err
	}
	here, seen := map[store.PastAction]bool{}, map[store.PastAction]bool{}
	for _, action := range before {
		here[action] = true
	}
	var events []store.Event
	_, err = i.read(ctx, name, "id", []string{"timestamp", "username", "action_type", "details"},
		func(table *Table, r row) error {
			at, ok := r.past("timestamp")
			action := store.PastAction{At: at, Action: store.Action{
				Username: r.text("username"), Type: r.text("action_type"), Details: r.text("details"),
			}}
			switch {
			case action.Username == "":
				table.leave(noName)
			case !ok:
				table.leave(badTime)
			case seen[action]:
				table.Corrected++
			case here[action]:
				table.Here++
			default:
				table.Taken++
				events = append(events, i.event(at, action.Action, 0))
			}
			seen[action] = true
			return nil
		})
	if err != nil {
		return err
	}
	return i.apply(ctx, name, events)
}

const all = 1 << 30

func (i *importer) apply(ctx context.Context, table string, events []store.Event) error {
	return i.store(table, events, func(batch []store.Event) error { return i.Target.Apply(ctx, batch) })
}
