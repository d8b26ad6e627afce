-- How far the events of each stream are stored, so that a restored backup is brought up to date from the stream.

-- +goose Up

CREATE TABLE stream_positions (
    stream   text COLLATE "C" NOT NULL PRIMARY KEY,
    created  bigint NOT NULL, -- when the stream was created, in milliseconds: one of the same name has other sequences
    sequence bigint NOT NULL CHECK (sequence >= 0)
);
