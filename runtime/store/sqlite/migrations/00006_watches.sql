-- When a bot was in the channel and recorded joins and leaves.

-- +goose Up

-- One row for each stay of a bot in a channel: since when it knew who was there, and until when it is known to have
-- been there. A user who is not there when the next stay begins has left in between.
CREATE TABLE watches (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, since)
) STRICT, WITHOUT ROWID;
