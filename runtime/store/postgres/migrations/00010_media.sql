-- What was played, how many lines people wrote in each hour, who asked for outbound messages and took them back, and
-- the indexes of queries.

-- +goose Up

-- Reports on what began to play. Several may be about one play.
CREATE TABLE media (
    event_id   text   COLLATE "C" NOT NULL,
    channel_id bigint NOT NULL REFERENCES channels (id),
    at         bigint NOT NULL, -- when it began
    item_key   text   COLLATE "C" NOT NULL, -- media_type and media_id, or a hash of them if they are long
    media_type text   NOT NULL,
    media_id   text   NOT NULL,
    title      text   NOT NULL,
    seconds    bigint NOT NULL CHECK (seconds >= 0),
    queued_by  text   NOT NULL, -- as spelled at that time; empty: unknown
    PRIMARY KEY (event_id, channel_id)
);

CREATE INDEX media_by_time ON media (channel_id, at, event_id);

-- The other reports on a play.
CREATE INDEX media_by_item ON media (channel_id, item_key, at, event_id);

-- Lines outlive their rows in chat as numbers.
CREATE TABLE chat_hours (
    channel_id bigint NOT NULL REFERENCES channels (id),
    user_key   text   COLLATE "C" NOT NULL,
    hour       bigint NOT NULL, -- since 1970 UTC
    lines      bigint NOT NULL,
    PRIMARY KEY (channel_id, user_key, hour)
);

-- lower folds ASCII only. Who has other letters is found by the spelling that was seen last.
INSERT INTO chat_hours (channel_id, user_key, hour, lines)
SELECT c.channel_id, coalesce(u.name_key, lower(c.username COLLATE "C")), c.at / 3600000, count(*)
FROM chat c LEFT JOIN users u ON u.channel_id = c.channel_id AND u.name = c.username
GROUP BY 1, 2, 3;

CREATE INDEX presence_by_time ON presence (channel_id, at, event_id);
CREATE INDEX users_by_first_seen ON users (channel_id, first_seen DESC, name_key);
CREATE INDEX users_by_last_seen ON users (channel_id, last_seen DESC, name_key);
CREATE INDEX outbound_by_time ON outbound (channel_id, enqueued_at, id);

-- Who asked for it. NULL: unknown.
ALTER TABLE outbound ADD COLUMN asker text;
-- When it was taken back; then it is abandoned, too.
ALTER TABLE outbound ADD COLUMN cancelled_at bigint;
