-- What was counted elsewhere, before this database was there.

-- +goose Up

-- Imported totals have no events behind them, so they cannot be told from a repetition: what an import
-- added is kept here, and the next import takes it back first. chat_lines includes imported_lines, so
-- that the index by lines still serves; imported_ms comes on top of what the sessions say.
ALTER TABLE users ADD COLUMN imported_lines INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN imported_ms INTEGER NOT NULL DEFAULT 0;
-- The lines that both programs counted, the most that was ever found: the rows that show it are pruned.
ALTER TABLE users ADD COLUMN imported_twice INTEGER NOT NULL DEFAULT 0;
