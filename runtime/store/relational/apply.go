package relational

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// How rows merge with those that are there. CASE, since each database has a function of its own for the
// greater of two values.
const (
	userSQL = `INSERT INTO users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (channel_id, name_key) DO UPDATE SET
  name = CASE WHEN (excluded.name_at, excluded.name) > (users.name_at, users.name)
              THEN excluded.name ELSE users.name END,
  name_at = CASE WHEN excluded.name_at > users.name_at THEN excluded.name_at ELSE users.name_at END,
  first_seen = CASE WHEN excluded.first_seen < users.first_seen THEN excluded.first_seen ELSE users.first_seen END,
  last_seen = CASE WHEN excluded.last_seen > users.last_seen THEN excluded.last_seen ELSE users.last_seen END,
  chat_lines = users.chat_lines + excluded.chat_lines`

	highWaterSQL = `INSERT INTO high_water (channel_id, chat, chat_at, connected, connected_at)
VALUES ($1, $2, $3, $4, $3)
ON CONFLICT (channel_id) DO UPDATE SET` + highWaterMerge

	// The earliest time wins a tie.
	highWaterMerge = `
  chat_at = CASE WHEN excluded.chat > high_water.chat
      OR excluded.chat = high_water.chat AND excluded.chat_at < high_water.chat_at
    THEN excluded.chat_at ELSE high_water.chat_at END,
  chat = CASE WHEN excluded.chat > high_water.chat THEN excluded.chat ELSE high_water.chat END,
  connected_at = CASE WHEN excluded.connected > high_water.connected
      OR excluded.connected = high_water.connected AND excluded.connected_at < high_water.connected_at
    THEN excluded.connected_at ELSE high_water.connected_at END,
  connected = CASE WHEN excluded.connected > high_water.connected
    THEN excluded.connected ELSE high_water.connected END`

	statusSQL = `INSERT INTO status (channel_id, field, value, at, event_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (channel_id, field) DO UPDATE SET
  value = excluded.value, at = excluded.at, event_id = excluded.event_id
WHERE (excluded.at, excluded.event_id) > (status.at, status.event_id)`

	watchSQL = `INSERT INTO watches (channel_id, since, until) VALUES ($1, $2, $3)
ON CONFLICT (channel_id, since) DO UPDATE SET
  until = CASE WHEN excluded.until > watches.until THEN excluded.until ELSE watches.until END`
)

// Apply implements store.Store.
func (s Store) Apply(ctx context.Context, events []store.Event) error {
	normal := store.Normalize(events)
	if len(normal) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(session Session) error {
		channels, err := s.findChannels(ctx, session, normal)
		if err != nil {
			return err
		}
		b := newBatch()
		for _, event := range normal {
			if err := b.add(event, channels[fold(event.Channel)]); err != nil {
				return fmt.Errorf("storing %T %s: %w", event.Fact, event.ID, err)
			}
		}
		return b.write(ctx, session)
	})
}

// findChannels reads the rows of the channels that events belong to, in the order of their names. Reports on outbound
// messages need no channel.
func (s Store) findChannels(
	ctx context.Context, session Session, events []store.Event,
) (map[store.Channel]channelRow, error) {
	spelled := map[store.Channel]store.Channel{}
	var keys []store.Channel
	for _, event := range events {
		switch event.Fact.(type) {
		case store.OutboundSent, store.OutboundFailed:
			continue
		}
		key := fold(event.Channel)
		if _, known := spelled[key]; !known {
			spelled[key] = event.Channel
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b store.Channel) int {
		return strings.Compare(a.Server+"\x00"+a.Name, b.Server+"\x00"+b.Name)
	})
	rows := make(map[store.Channel]channelRow, len(keys))
	for _, key := range keys {
		row, err := s.findChannel(ctx, session, spelled[key])
		if err != nil {
			return nil, err
		}
		rows[key] = row
	}
	return rows, nil
}

func (b *batch) write(ctx context.Context, session Session) error {
	for _, table := range insertOrder {
		into := b.inserts[table.Name]
		if into == nil {
			continue
		}
		sortRows(into.rows, 1)
		added, err := session.Insert(ctx, table, into.rows)
		if err != nil {
			return fmt.Errorf("storing rows of %s: %w", table.Name, err)
		}
		if table.Name == chatTable.Name {
			b.count(added)
		}
	}
	sortRows(b.marks, 1)
	sortRows(b.fields, 2)
	sortRows(b.watches, 2)
	sortRows(b.sent, 1)
	sortRows(b.failed, 1)
	for _, merged := range []struct {
		what, query string
		rows        [][]any
	}{
		{"users", userSQL, b.userRows()}, {"records", highWaterSQL, b.marks}, {"the bot's status", statusSQL, b.fields},
		{"when the bot was there", watchSQL, b.watches}, {"sent outbound messages", sentSQL, b.sent},
		{"failed outbound messages", failedSQL, b.failed},
	} {
		if len(merged.rows) == 0 {
			continue
		}
		if _, err := session.ExecAll(ctx, merged.query, merged.rows); err != nil {
			return fmt.Errorf("storing %s: %w", merged.what, err)
		}
	}
	return nil
}
