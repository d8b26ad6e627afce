-- Commands of the outbound queue have a permission of their own.

-- +goose Up

-- CyTube executes a message that begins with "/". Those that wait were queued when every client that could queue a
-- line could queue a command: they are abandoned, and whoever has the permission can queue them again.
UPDATE outbound SET abandoned_at = enqueued_at, last_error = 'queued before commands had a permission of their own'
WHERE text LIKE '/%' AND sent_at IS NULL AND abandoned_at IS NULL;
