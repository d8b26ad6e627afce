-- When somebody was there to see who comes and goes.

-- +goose Up

-- One row for each stay of a bot in a channel: since when it knew who is there, until when it is known to have seen
-- them. Who was there before and is not when the next stay begins has left unseen.
CREATE TABLE watches (
    channel_id bigint NOT NULL REFERENCES channels (id),
    since      bigint NOT NULL,
    until      bigint NOT NULL,
    PRIMARY KEY (channel_id, since)
);
