-- When a bot that joined found something playing.

-- +goose Up

-- NULL: it began while the bot was in the channel.
ALTER TABLE media ADD COLUMN found_at INTEGER;

-- The report before one with found_at.
CREATE INDEX media_by_report ON media (channel_id, coalesce(found_at, at));
