-- Which database service owns a channel. SQLite has one service, which does not use these columns. They keep what was
-- moved from PostgreSQL.

-- +goose Up

-- The subject prefix of the service whose own channel it is, and the namespace and name of its RoseyBot. NULL: nobody
-- owns it.
ALTER TABLE channels ADD COLUMN owner_prefix TEXT;
ALTER TABLE channels ADD COLUMN owner_name TEXT;
-- The subject prefix of the service that served the channel last: it removes the rows that are no longer retained.
ALTER TABLE channels ADD COLUMN served_by TEXT;
