-- All times are milliseconds since 1970 UTC. Names are compared by a folded copy of them (…_key),
-- made by the program, since SQLite folds ASCII only and PostgreSQL by its locale.

-- +goose Up

-- One row with a UUID of this database.
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    uuid TEXT NOT NULL
) STRICT;
INSERT INTO store (only, uuid) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE channels (
    id         INTEGER PRIMARY KEY,
    server_key TEXT NOT NULL,
    name_key   TEXT NOT NULL,
    name       TEXT NOT NULL,
    UNIQUE (server_key, name_key)
) STRICT;

CREATE TABLE users (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    name_key   TEXT    NOT NULL,
    name       TEXT    NOT NULL, -- the latest spelling, used at name_at
    name_at    INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    chat_lines INTEGER NOT NULL DEFAULT 0 CHECK (chat_lines >= 0),
    PRIMARY KEY (channel_id, name_key)
) STRICT, WITHOUT ROWID;

-- Top chatters, read in order so that a list of ten does not sort thousands.
CREATE INDEX users_by_lines ON users (channel_id, chat_lines DESC);

-- Joins and leaves. Sessions and connected time are derived from them.
CREATE TABLE presence (
    event_id   TEXT    PRIMARY KEY,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    user_key   TEXT    NOT NULL,
    joined     INTEGER NOT NULL CHECK (joined IN (0, 1)),
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The sessions of one user without reading those of all.
CREATE INDEX presence_by_user ON presence (channel_id, user_key);

CREATE TABLE chat (
    event_id   TEXT    PRIMARY KEY,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    at         INTEGER NOT NULL,
    username   TEXT    NOT NULL, -- as spelled in the line
    text       TEXT    NOT NULL  -- HTML as CyTube sent it
) STRICT, WITHOUT ROWID;

-- The newest lines of a channel, and later the removal of the oldest. A table without rowid ends its
-- indexes with the primary key, which orders the lines of one millisecond.
CREATE INDEX chat_by_time ON chat (channel_id, at);

CREATE TABLE user_counts (
    event_id   TEXT    PRIMARY KEY,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    at         INTEGER NOT NULL,
    chat       INTEGER NOT NULL CHECK (chat >= 0),
    connected  INTEGER NOT NULL CHECK (connected >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_counts_by_time ON user_counts (channel_id, at);

CREATE TABLE high_water (
    channel_id   INTEGER PRIMARY KEY REFERENCES channels (id),
    chat         INTEGER NOT NULL,
    chat_at      INTEGER NOT NULL,
    connected    INTEGER NOT NULL,
    connected_at INTEGER NOT NULL
) STRICT;

-- The bot's state, one row for each field since each has its own last writer.
CREATE TABLE status (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    field      TEXT    NOT NULL,
    value      TEXT    NOT NULL, -- JSON
    at         INTEGER NOT NULL,
    event_id   TEXT    NOT NULL,
    PRIMARY KEY (channel_id, field)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: an ID is never assigned again, so that a late report cannot be about another message.
CREATE TABLE outbound (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id      INTEGER NOT NULL REFERENCES channels (id),
    enqueued_at     INTEGER NOT NULL,
    text            TEXT    NOT NULL,
    sent_at         INTEGER,
    retry_count     INTEGER NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
    last_attempt_at INTEGER,
    last_error      TEXT
) STRICT;

-- The bot polls every two seconds: messages that were sent before must not slow it down.
CREATE INDEX outbound_waiting ON outbound (channel_id, enqueued_at) WHERE sent_at IS NULL;
