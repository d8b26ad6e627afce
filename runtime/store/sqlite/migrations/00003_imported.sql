-- What the Python bot counted, before this database was created.

-- +goose Up

-- Imported totals come from no events, so a repeated import cannot be recognized: what an import added is
-- stored here, and the next import subtracts it first. chat_lines includes imported_lines, so that the index
-- by lines still serves; imported_ms is added to the time of the sessions.
ALTER TABLE users ADD COLUMN imported_lines INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN imported_ms INTEGER NOT NULL DEFAULT 0;
-- The greatest number of lines that both programs were found to have counted: the rows that prove it are pruned.
ALTER TABLE users ADD COLUMN imported_twice INTEGER NOT NULL DEFAULT 0;
