-- Claims and abandonment of outbound messages, key-value, actions, dead letters, and what pruning needs.

-- +goose Up

-- The time of the newest line that was pruned: a line from before is not stored again, since it may
-- have been counted.
ALTER TABLE channels ADD COLUMN chat_pruned_to INTEGER NOT NULL DEFAULT 0;

ALTER TABLE outbound ADD COLUMN client_id TEXT;
ALTER TABLE outbound ADD COLUMN claimed_by TEXT;
ALTER TABLE outbound ADD COLUMN claimed_until INTEGER;
ALTER TABLE outbound ADD COLUMN abandoned_at INTEGER;
-- How often it was handed out since the last report.
ALTER TABLE outbound ADD COLUMN offers INTEGER NOT NULL DEFAULT 0;

-- A repeated request returns the message of the first one.
CREATE UNIQUE INDEX outbound_client ON outbound (channel_id, client_id) WHERE client_id IS NOT NULL;

-- The bot polls every two seconds: only messages that are still to be sent.
CREATE INDEX outbound_open ON outbound (channel_id, enqueued_at) WHERE sent_at IS NULL AND abandoned_at IS NULL;

-- The removal of messages that were sent or abandoned.
CREATE INDEX outbound_done ON outbound (coalesce(sent_at, abandoned_at))
    WHERE sent_at IS NOT NULL OR abandoned_at IS NOT NULL;

CREATE TABLE user_actions (
    event_id    TEXT    PRIMARY KEY,
    channel_id  INTEGER NOT NULL REFERENCES channels (id),
    at          INTEGER NOT NULL,
    username    TEXT    NOT NULL, -- as spelled at that time
    action_type TEXT    NOT NULL,
    details     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX user_actions_by_time ON user_actions (channel_id, at);

CREATE TABLE kv (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    plugin     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,          -- the key does not exist from then on
    PRIMARY KEY (channel_id, plugin, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX kv_by_expiry ON kv (expires_at) WHERE expires_at IS NOT NULL;

-- Messages that could not be stored as rows.
CREATE TABLE dead_letters (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    subject TEXT    NOT NULL,
    msg_id  TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    payload BLOB    NOT NULL,
    size    INTEGER NOT NULL -- of the whole payload, which may be truncated
) STRICT;

-- A message that is published again is stored once.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (msg_id, subject) WHERE msg_id <> '';

CREATE INDEX dead_letters_by_time ON dead_letters (at);
