-- What was played, how many lines people wrote in each hour, who asked for outbound messages and took them back, and
-- the indexes of queries.

-- +goose Up

-- Reports on what began to play. Several may be about one play.
CREATE TABLE media (
    event_id   TEXT    NOT NULL,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    at         INTEGER NOT NULL, -- when it began
    item_key   TEXT    NOT NULL, -- media_type and media_id, or a hash of them if they are long
    media_type TEXT    NOT NULL,
    media_id   TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    seconds    INTEGER NOT NULL CHECK (seconds >= 0),
    queued_by  TEXT    NOT NULL, -- as spelled at that time; empty: unknown
    PRIMARY KEY (event_id, channel_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX media_by_time ON media (channel_id, at);

-- The other reports on a play.
CREATE INDEX media_by_item ON media (channel_id, item_key, at);

-- Lines outlive their rows in chat as numbers.
CREATE TABLE chat_hours (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    user_key   TEXT    NOT NULL,
    hour       INTEGER NOT NULL, -- since 1970 UTC
    lines      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, user_key, hour)
) STRICT, WITHOUT ROWID;

-- lower folds ASCII only. Who has other letters is found by the spelling that was seen last.
INSERT INTO chat_hours (channel_id, user_key, hour, lines)
SELECT c.channel_id, coalesce(u.name_key, lower(c.username)), c.at / 3600000, count(*)
FROM chat c LEFT JOIN users u ON u.channel_id = c.channel_id AND u.name = c.username
GROUP BY 1, 2, 3;

CREATE INDEX presence_by_time ON presence (channel_id, at);
CREATE INDEX users_by_first_seen ON users (channel_id, first_seen DESC);
CREATE INDEX users_by_last_seen ON users (channel_id, last_seen DESC);

-- Of two indexes that begin with the channel, SQLite takes the newer one while it has no statistics: for the bot's poll
-- that must be the one with few rows.
CREATE INDEX outbound_by_time ON outbound (channel_id, enqueued_at);
DROP INDEX outbound_open;
CREATE INDEX outbound_open ON outbound (channel_id, enqueued_at) WHERE sent_at IS NULL AND abandoned_at IS NULL;

-- Who asked for it. NULL: unknown.
ALTER TABLE outbound ADD COLUMN asker TEXT;
-- When it was taken back; then it is abandoned, too.
ALTER TABLE outbound ADD COLUMN cancelled_at INTEGER;
