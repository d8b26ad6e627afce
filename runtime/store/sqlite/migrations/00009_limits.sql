-- Quotas of keys, and the removal of people who are not seen any more.

-- +goose Up

-- The time of the newest event about a user who was pruned: an event from before counts for no user, since it would
-- bring back a part of what was known.
ALTER TABLE channels ADD COLUMN people_pruned_to INTEGER NOT NULL DEFAULT 0;

-- What each plugin has stored in kv, changed in the same transaction as its keys. A key counts as its texts and 100
-- bytes. A plugin without keys has no row.
CREATE TABLE kv_usage (
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    plugin     TEXT    NOT NULL,
    keys       INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, plugin)
) STRICT, WITHOUT ROWID;

INSERT INTO kv_usage (channel_id, plugin, keys, bytes)
SELECT channel_id, plugin, count(*), sum(octet_length(plugin) + octet_length(key) + octet_length(value) + 100)
FROM kv GROUP BY channel_id, plugin;

-- The newest joins and leaves of one user without reading those of all.
DROP INDEX presence_by_user;
CREATE INDEX presence_by_user ON presence (channel_id, user_key, at);
