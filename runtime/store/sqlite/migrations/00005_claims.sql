-- Since when a line may have been said.

-- +goose Up

-- When it was first claimed since something was said of it: whoever has it next looks whether it was
-- said by a bot that did not live to tell.
ALTER TABLE outbound ADD COLUMN claimed_since INTEGER;
