package sqlite

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Outbound implements store.Store. A message waits 2, 4, 8 … minutes after a failure, counted from
// the last attempt.
func (s *Store) Outbound(
	ctx context.Context, channel store.Channel, limit, maxRetries int, now time.Time,
) ([]store.OutboundMessage, error) {
	const query = `SELECT id, enqueued_at, text, retry_count, coalesce(last_error, '') FROM outbound
WHERE channel_id = ` + inChannel + ` AND sent_at IS NULL AND retry_count < ?4
  AND (retry_count = 0 OR coalesce(last_attempt_at, enqueued_at) + (60000 << min(retry_count, 20)) <= ?5)
ORDER BY enqueued_at, id LIMIT max(?3, 0)`
	arguments := []any{limit, maxRetries, now.UnixMilli()}
	return selectRows(ctx, s.read, query, channel, arguments, func(message *store.OutboundMessage) []any {
		return []any{
			&message.ID, millis{&message.EnqueuedAt}, &message.Text, &message.RetryCount, &message.LastError,
		}
	})
}

// MarkSent implements store.Store.
func (s *Store) MarkSent(ctx context.Context, id int64, at time.Time) error {
	if s.write == nil {
		return errReadOnly
	}
	// Said again, it keeps the time at which the message was sent first.
	const query = `UPDATE outbound SET sent_at = ? WHERE id = ? AND sent_at IS NULL`
	if _, err := s.write.ExecContext(ctx, query, at.UnixMilli(), id); err != nil {
		return fmt.Errorf("marking outbound message %d as sent: %w", id, err)
	}
	return nil
}

// Enqueue implements store.Store.
func (s *Store) Enqueue(ctx context.Context, channel store.Channel, text string, at time.Time) (int64, error) {
	if s.write == nil {
		return 0, errReadOnly
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	batch := batch{tx: tx, statements: s.apply, channels: map[store.Channel]int64{}}
	channelID, err := batch.channelID(ctx, channel)
	if err != nil {
		return 0, err
	}
	const query = `INSERT INTO outbound (channel_id, enqueued_at, text) VALUES (?, ?, ?) RETURNING id`
	var id int64
	err = tx.QueryRowContext(ctx, query, channelID, at.UnixMilli(), store.CleanText(text)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("enqueueing an outbound message: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("committing an outbound message: %w", err)
	}
	return id, nil
}
