package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// statements are what Apply executes, prepared once.
type statements struct {
	channel, user, presence, chat, userCount, highWater, status, action *sql.Stmt
}

const (
	// Name is updated to itself so that the row's id is returned whether it was there or not.
	channelSQL = `INSERT INTO channels (server_key, name_key, name) VALUES (?, ?, ?)
ON CONFLICT (server_key, name_key) DO UPDATE SET name = name RETURNING id`

	userSQL = `INSERT INTO users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines)
VALUES (?1, ?2, ?3, ?4, ?4, ?4, ?5)
ON CONFLICT (channel_id, name_key) DO UPDATE SET
  name = CASE WHEN (excluded.name_at, excluded.name) > (name_at, name) THEN excluded.name ELSE name END,
  name_at = max(name_at, excluded.name_at),
  first_seen = min(first_seen, excluded.first_seen),
  last_seen = max(last_seen, excluded.last_seen),
  chat_lines = chat_lines + excluded.chat_lines`

	addPresenceSQL = `INSERT INTO presence (event_id, channel_id, user_key, joined, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO NOTHING`

	// What is not after chat_pruned_to may have been here, and must not be counted again.
	chatSQL = `INSERT INTO chat (event_id, channel_id, at, username, text)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?3 > (SELECT chat_pruned_to FROM channels WHERE id = ?2)
ON CONFLICT (event_id) DO NOTHING`

	userCountSQL = `INSERT INTO user_counts (event_id, channel_id, at, chat, connected) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO NOTHING`

	highWaterSQL = `INSERT INTO high_water (channel_id, chat, chat_at, connected, connected_at)
VALUES (?1, ?2, ?4, ?3, ?4)
ON CONFLICT (channel_id) DO UPDATE SET
  chat_at = CASE WHEN excluded.chat > chat THEN excluded.chat_at
                 WHEN excluded.chat = chat THEN min(chat_at, excluded.chat_at) ELSE chat_at END,
  chat = max(chat, excluded.chat),
  connected_at = CASE WHEN excluded.connected > connected THEN excluded.connected_at
                      WHEN excluded.connected = connected THEN min(connected_at, excluded.connected_at)
                      ELSE connected_at END,
  connected = max(connected, excluded.connected)`

	statusSQL = `INSERT INTO status (channel_id, field, value, at, event_id) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (channel_id, field) DO UPDATE SET value = excluded.value, at = excluded.at, event_id = excluded.event_id
WHERE (excluded.at, excluded.event_id) > (at, event_id)`

	actionSQL = `INSERT INTO user_actions (event_id, channel_id, at, username, action_type, details)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING`
)

func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	var s statements
	for _, one := range []struct {
		statement **sql.Stmt
		query     string
	}{
		{&s.channel, channelSQL},
		{&s.user, userSQL},
		{&s.presence, addPresenceSQL},
		{&s.chat, chatSQL},
		{&s.userCount, userCountSQL},
		{&s.highWater, highWaterSQL},
		{&s.status, statusSQL},
		{&s.action, actionSQL},
	} {
		statement, err := db.PrepareContext(ctx, one.query)
		if err != nil {
			return nil, fmt.Errorf("preparing %q: %w", one.query, err)
		}
		*one.statement = statement
	}
	return &s, nil
}
