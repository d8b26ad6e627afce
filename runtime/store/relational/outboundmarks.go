package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Enqueue implements store.Store.
func (s Store) Enqueue(ctx context.Context, channel store.Channel, line store.OutboundLine) (id int64, err error) {
	// The conflicting row is updated to itself so that its id is returned.
	const query = `INSERT INTO outbound (channel_id, enqueued_at, text, client_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel_id, client_id) WHERE client_id IS NOT NULL DO UPDATE SET client_id = excluded.client_id
RETURNING id`
	var clientID any
	if line.ClientID != "" {
		clientID = store.CleanText(line.ClientID)
	}
	err = s.db.Write(ctx, func(session Session) error {
		row, err := s.findChannel(ctx, session, channel)
		if err != nil {
			return err
		}
		arguments := []any{row.id, line.At.UnixMilli(), store.CleanText(line.Text), clientID}
		id, _, err = selectOne(ctx, session, query, arguments, itself[int64])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("enqueueing an outbound message: %w", err)
	}
	return id, nil
}

// MarkSent implements store.Store.
func (s Store) MarkSent(ctx context.Context, id int64, at time.Time) error {
	// Said again, it keeps the time at which the message was sent first.
	const query = `UPDATE outbound SET sent_at = $1, abandoned_at = NULL, claimed_by = NULL, claimed_until = NULL
WHERE id = $2 AND sent_at IS NULL`
	if _, err := s.db.Exec(ctx, query, at.UnixMilli(), id); err != nil {
		return fmt.Errorf("marking outbound message %d as sent: %w", id, err)
	}
	return nil
}

// MarkFailed implements store.Store.
func (s Store) MarkFailed(ctx context.Context, failure store.OutboundFailure) error {
	const query = `UPDATE outbound SET retry_count = retry_count + 1, last_attempt_at = $1, last_error = $2, offers = 0,
  claimed_by = NULL, claimed_until = NULL, claimed_since = NULL,
  abandoned_at = CASE WHEN CAST($3 AS BOOLEAN) OR retry_count + 1 >= $4 THEN CAST($1 AS BIGINT) END
WHERE id = $5 AND sent_at IS NULL AND abandoned_at IS NULL AND (retry_count = $6 OR CAST($6 AS BIGINT) IS NULL)
  AND (CAST($7 AS TEXT) = '' OR claimed_by IS NULL OR claimed_until <= $1 OR claimed_by = $7)`
	var retryCount any
	if failure.RetryCount != nil {
		retryCount = *failure.RetryCount
	}
	_, err := s.db.Exec(ctx, query, failure.At.UnixMilli(), store.CleanText(failure.Error), failure.Permanent,
		store.MaxAttempts, failure.ID, retryCount, store.CleanText(failure.Claimant))
	if err != nil {
		return fmt.Errorf("marking outbound message %d as failed: %w", failure.ID, err)
	}
	return nil
}
