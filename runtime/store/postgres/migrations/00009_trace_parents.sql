-- The trace to which an outbound message belongs.

-- +goose Up

-- The W3C traceparent of the request that has queued it. NULL: the message is not traced.
ALTER TABLE outbound ADD COLUMN trace_parent text COLLATE "C";
