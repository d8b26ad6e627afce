-- Revisions of the values of keys.

-- +goose Up

-- 0: an earlier version has stored the value.
ALTER TABLE kv ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- The greatest revision that a value in the channel has had, also if it is gone, so that none is used twice.
CREATE TABLE kv_revisions (
    channel_id INTEGER PRIMARY KEY REFERENCES channels (id),
    last       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
