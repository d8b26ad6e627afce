package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

const (
	// dueSQL is what a claimant may be given. A message waits 2, 4, 8 … minutes after a failure, counted
	// from the last attempt.
	dueSQL = ` FROM outbound
WHERE channel_id = ` + inChannel + ` AND sent_at IS NULL AND abandoned_at IS NULL AND retry_count < ?4
  AND (retry_count = 0 OR coalesce(last_attempt_at, enqueued_at) + (60000 << min(retry_count, 20)) <= ?5)
  AND (claimed_by IS NULL OR claimed_until <= ?5 OR claimed_by = ?6)
ORDER BY offers >= ?7, enqueued_at, id LIMIT max(?3, 0)`

	// A claim that is made now says nothing of an earlier one.
	outboundColumns = `id, enqueued_at, text, retry_count, coalesce(last_error, ''), offers,
  CASE WHEN claimed_since < ?5 THEN claimed_since END`

	lookSQL = `SELECT ` + outboundColumns + dueSQL

	// Without a claimant nothing changes but the count of offers.
	claimSQL = `UPDATE outbound SET offers = offers + 1,
  claimed_by = CASE WHEN ?6 = '' THEN NULL ELSE ?6 END, claimed_until = CASE WHEN ?6 = '' THEN NULL ELSE ?8 END,
  claimed_since = CASE WHEN ?6 = '' THEN claimed_since ELSE coalesce(claimed_since, ?5) END
WHERE id IN (SELECT id` + dueSQL + `) RETURNING ` + outboundColumns
)

// offered is a message and how often it was handed out.
type offered struct {
	store.OutboundMessage

	offers int
}

// Outbound implements store.Store. Of a database that is open for reading it takes nothing.
func (s *Store) Outbound(
	ctx context.Context, channel store.Channel, query store.OutboundQuery,
) ([]store.OutboundMessage, error) {
	now := query.Now.UnixMilli()
	arguments := []any{query.Limit, query.MaxRetries, now, query.Claimant, store.MaxOffers}
	rows, err := selectRows(ctx, s.read, lookSQL, channel, arguments, scanOffered)
	// The bot asks every two seconds and mostly for nothing: then nothing is written.
	if err == nil && len(rows) > 0 && s.write != nil {
		arguments = append(arguments, query.Now.Add(store.OutboundLease).UnixMilli())
		rows, err = selectRows(ctx, s.write, claimSQL, channel, arguments, scanOffered)
		inTurn(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("finding outbound messages: %w", classify(err))
	}
	messages := make([]store.OutboundMessage, 0, len(rows))
	for _, row := range rows {
		messages = append(messages, row.OutboundMessage)
	}
	return messages, nil
}

func scanOffered(row *offered) []any {
	return []any{&row.ID, millis{&row.EnqueuedAt}, &row.Text, &row.RetryCount, &row.LastError, &row.offers,
		maybeMillis{&row.ClaimedSince}}
}

// inTurn sorts what an UPDATE returned, which is in no order, and after it has counted this offer.
func inTurn(rows []offered) {
	late := func(row offered) int {
		if row.offers > store.MaxOffers {
			return 1
		}
		return 0
	}
	slices.SortFunc(rows, func(a, b offered) int {
		return cmp.Or(cmp.Compare(late(a), late(b)), a.EnqueuedAt.Compare(b.EnqueuedAt), cmp.Compare(a.ID, b.ID))
	})
}
