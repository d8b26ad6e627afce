-- Which database service owns a channel.

-- +goose Up

-- The subject prefix of the service whose own channel it is, and the namespace and name of its RoseyBot. NULL: nobody
-- owns it.
ALTER TABLE channels ADD COLUMN owner_prefix text COLLATE "C";
ALTER TABLE channels ADD COLUMN owner_name text COLLATE "C";
-- The subject prefix of the service that served the channel last: it removes the rows that are no longer retained.
ALTER TABLE channels ADD COLUMN served_by text COLLATE "C";
