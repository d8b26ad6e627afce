-- When a bot was in the channel and recorded joins and leaves.

-- +goose Up

-- One row for each stay of a bot in a channel: since when it knew who was there, and until when it is known to have
-- been there. A user who is not there when the next stay begins has left in between.
CREATE TABLE watches (
    channel_id bigint NOT NULL REFERENCES channels (id),
    since      bigint NOT NULL,
    until      bigint NOT NULL,
    PRIMARY KEY (channel_id, since)
);
