package sqlite

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Enqueue implements store.Store.
func (s *Store) Enqueue(ctx context.Context, channel store.Channel, line store.OutboundLine) (id int64, err error) {
	// The conflicting row is updated to itself so that its id is returned.
	const query = `INSERT INTO outbound (channel_id, enqueued_at, text, client_id) VALUES (?, ?, ?, ?)
ON CONFLICT (channel_id, client_id) WHERE client_id IS NOT NULL DO UPDATE SET client_id = client_id RETURNING id`
	var clientID any
	if line.ClientID != "" {
		clientID = store.CleanText(line.ClientID)
	}
	err = s.change(ctx, func(b *batch) error {
		channelID, err := b.channelID(ctx, channel)
		if err != nil {
			return err
		}
		row := b.tx.QueryRowContext(ctx, query, channelID, line.At.UnixMilli(), store.CleanText(line.Text), clientID)
		if err := row.Scan(&id); err != nil {
			return fmt.Errorf("enqueueing an outbound message: %w", err)
		}
		return nil
	})
	return id, err
}

// MarkSent implements store.Store.
func (s *Store) MarkSent(ctx context.Context, id int64, at time.Time) error {
	// Said again, it keeps the time at which the message was sent first.
	const query = `UPDATE outbound SET sent_at = ?, abandoned_at = NULL, claimed_by = NULL, claimed_until = NULL
WHERE id = ? AND sent_at IS NULL`
	return s.update(ctx, fmt.Sprintf("marking outbound message %d as sent", id), query, at.UnixMilli(), id)
}

// MarkFailed implements store.Store.
func (s *Store) MarkFailed(ctx context.Context, failure store.OutboundFailure) error {
	const query = `UPDATE outbound SET retry_count = retry_count + 1, last_attempt_at = ?2, last_error = ?3, offers = 0,
  claimed_by = NULL, claimed_until = NULL, claimed_since = NULL,
  abandoned_at = CASE WHEN ?4 OR retry_count + 1 >= ?5 THEN ?2 END
WHERE id = ?1 AND sent_at IS NULL AND abandoned_at IS NULL AND (?6 IS NULL OR retry_count = ?6)
  AND (?7 = '' OR claimed_by IS NULL OR claimed_until <= ?2 OR claimed_by = ?7)`
	var retryCount any
	if failure.RetryCount != nil {
		retryCount = *failure.RetryCount
	}
	return s.update(ctx, fmt.Sprintf("marking outbound message %d as failed", failure.ID), query,
		failure.ID, failure.At.UnixMilli(), store.CleanText(failure.Error), failure.Permanent, store.MaxAttempts,
		retryCount, failure.Claimant)
}

// update executes one statement in a transaction of its own. what says what it is for.
func (s *Store) update(ctx context.Context, what, query string, arguments ...any) error {
	_, err := s.updateCounting(ctx, what, query, arguments...)
	return err
}

// updateCounting is update and answers how many rows it changed.
func (s *Store) updateCounting(ctx context.Context, what, query string, arguments ...any) (int64, error) {
	if s.write == nil {
		return 0, errReadOnly
	}
	result, err := s.write.ExecContext(ctx, query, arguments...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, classify(err))
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("%s: counting rows: %w", what, err)
	}
	return changed, nil
}
