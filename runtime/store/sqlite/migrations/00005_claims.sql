-- Since when an outbound message may have been sent.

-- +goose Up

-- When it was first claimed since the last report. The next claimant looks in the channel whether a bot that
-- died before it could report has sent it.
ALTER TABLE outbound ADD COLUMN claimed_since INTEGER;
