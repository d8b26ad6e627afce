-- An event ID counts within its channel, and dead letters belong to the service that received them.

-- +goose Up

-- Publishers choose IDs: one that is used in a channel must not keep an event of another channel out. SQLite cannot
-- change a primary key, so the tables are copied.
CREATE TABLE new_presence (
    event_id   TEXT    NOT NULL,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    user_key   TEXT    NOT NULL,
    joined     INTEGER NOT NULL CHECK (joined IN (0, 1)),
    at         INTEGER NOT NULL,
    PRIMARY KEY (event_id, channel_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_presence (event_id, channel_id, user_key, joined, at)
SELECT event_id, channel_id, user_key, joined, at FROM presence;
DROP TABLE presence;
ALTER TABLE new_presence RENAME TO presence;
CREATE INDEX presence_by_user ON presence (channel_id, user_key, at);

CREATE TABLE new_chat (
    event_id   TEXT    NOT NULL,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    at         INTEGER NOT NULL,
    username   TEXT    NOT NULL, -- as spelled in the line
    text       TEXT    NOT NULL, -- HTML as CyTube sent it
    PRIMARY KEY (event_id, channel_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_chat (event_id, channel_id, at, username, text)
SELECT event_id, channel_id, at, username, text FROM chat;
DROP TABLE chat;
ALTER TABLE new_chat RENAME TO chat;
CREATE INDEX chat_by_time ON chat (channel_id, at);

CREATE TABLE new_user_counts (
    event_id   TEXT    NOT NULL,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    at         INTEGER NOT NULL,
    chat       INTEGER NOT NULL CHECK (chat >= 0),
    connected  INTEGER NOT NULL CHECK (connected >= 0),
    PRIMARY KEY (event_id, channel_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_user_counts (event_id, channel_id, at, chat, connected)
SELECT event_id, channel_id, at, chat, connected FROM user_counts;
DROP TABLE user_counts;
ALTER TABLE new_user_counts RENAME TO user_counts;
CREATE INDEX user_counts_by_time ON user_counts (channel_id, at);

CREATE TABLE new_user_actions (
    event_id    TEXT    NOT NULL,
    channel_id  INTEGER NOT NULL REFERENCES channels (id),
    at          INTEGER NOT NULL,
    username    TEXT    NOT NULL, -- as spelled at that time
    action_type TEXT    NOT NULL,
    details     TEXT    NOT NULL,
    PRIMARY KEY (event_id, channel_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_user_actions (event_id, channel_id, at, username, action_type, details)
SELECT event_id, channel_id, at, username, action_type, details FROM user_actions;
DROP TABLE user_actions;
ALTER TABLE new_user_actions RENAME TO user_actions;
CREATE INDEX user_actions_by_time ON user_actions (channel_id, at);

-- The subject prefix of the service. Empty: SQLite has one service.
ALTER TABLE dead_letters ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
DROP INDEX dead_letters_once;
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (prefix, msg_id, subject) WHERE msg_id <> '';
