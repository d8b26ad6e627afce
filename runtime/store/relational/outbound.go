package relational

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// dueSQL is what a claimant may be given. A message waits 2, 4, 8 … minutes after a failure, counted
	// from the last attempt.
	dueSQL = ` FROM outbound
WHERE channel_id = ` + inChannel + ` AND sent_at IS NULL AND abandoned_at IS NULL AND retry_count < $3
  AND (retry_count = 0 OR coalesce(last_attempt_at, enqueued_at)
    + (CAST(60000 AS BIGINT) << CAST(CASE WHEN retry_count < 20 THEN retry_count ELSE 20 END AS INTEGER)) <= $4)
  AND (claimed_by IS NULL OR claimed_until <= $5 OR claimed_by = $6)
ORDER BY offers >= $7, enqueued_at, id LIMIT $8`

	// A claim that is made now says nothing of an earlier one.
	outboundColumns = `id, enqueued_at, text, retry_count, coalesce(last_error, ''), offers,
  CASE WHEN claimed_since < $4 THEN claimed_since END`

	// Without a claimant nothing changes but the count of offers. The due rows are found once, by
	// themselves: a subquery may be executed several times, and would lock more than the limit.
	claimSQL = `WITH due AS MATERIALIZED (SELECT id` + dueSQL + `%s)
UPDATE outbound SET offers = offers + 1, claimed_by = CAST($9 AS TEXT), claimed_until = CAST($10 AS BIGINT),
  claimed_since = CASE WHEN CAST($9 AS TEXT) IS NULL THEN claimed_since ELSE coalesce(claimed_since, $4) END
WHERE id IN (SELECT id FROM due) RETURNING ` + outboundColumns
)

// offered is a message and how often it was handed out.
type offered struct {
	store.OutboundMessage

	offers int
}

// Outbound implements store.Store. In a database that is open for reading it claims nothing.
func (s Store) Outbound(
	ctx context.Context, channel store.Channel, query store.OutboundQuery,
) (messages []store.OutboundMessage, err error) {
	claimant := store.CleanText(query.Claimant)
	arguments := func(expired time.Time, own string) []any {
		return keyed(channel, query.MaxRetries, query.Now.UnixMilli(), expired.UnixMilli(), own, store.MaxOffers,
			max(query.Limit, 0))
	}
	due := arguments(query.Now, claimant)
	// The bot asks every two seconds and mostly for nothing: then nothing is written.
	rows, err := Select(ctx, s.db, `SELECT `+outboundColumns+dueSQL, due, scanOffered)
	if query.AppliedUntil != nil && slices.ContainsFunc(rows, wasClaimed) {
		if applied := query.AppliedUntil(ctx); applied.Before(query.Now) {
			due = arguments(applied, "")
		}
	}
	if err == nil && len(rows) > 0 && !s.readOnly {
		err = s.db.Write(ctx, func(session Session) error {
			rows, err = s.claim(ctx, session, claimant, query.Now.Add(store.OutboundLease), due)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("finding outbound messages: %w", err)
	}
	messages = make([]store.OutboundMessage, 0, len(rows))
	for _, row := range rows {
		messages = append(messages, row.OutboundMessage)
	}
	return messages, nil
}

func wasClaimed(row offered) bool { return !row.ClaimedSince.IsZero() }

// claim takes what it answers, in the order in which it is to be sent.
func (s Store) claim(
	ctx context.Context, session Session, claimant string, until time.Time, arguments []any,
) ([]offered, error) {
	var claimedBy, claimedUntil any
	if claimant != "" {
		claimedBy, claimedUntil = claimant, until.UnixMilli()
	}
	rows, err := Select(ctx, session, fmt.Sprintf(claimSQL, s.db.SkipLocked()),
		append(slices.Clone(arguments), claimedBy, claimedUntil), scanOffered)
	inTurn(rows)
	return rows, err
}

func scanOffered(row *offered) []any {
	return []any{&row.ID, Millis{&row.EnqueuedAt}, &row.Text, &row.RetryCount, &row.LastError, &row.offers,
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
