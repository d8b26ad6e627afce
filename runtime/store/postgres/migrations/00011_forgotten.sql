-- Who was forgotten.

-- +goose Up

-- The greatest until of the channel's rows of forgotten: events after it need no look at them.
ALTER TABLE channels ADD COLUMN forgotten_to bigint NOT NULL DEFAULT 0;

-- Nothing about a user that happened until then is stored again.
CREATE TABLE forgotten (
    channel_id bigint NOT NULL REFERENCES channels (id),
    user_hash  text COLLATE "C" NOT NULL, -- of server, channel and folded name
    until      bigint NOT NULL,
    PRIMARY KEY (channel_id, user_hash)
);
