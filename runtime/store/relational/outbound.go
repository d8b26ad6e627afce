package relational

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/store"
)

var (
	// Without a claimant only the count of offers changes. The messages that are due are found once, in a materialized
	// subquery: another subquery might be executed repeatedly and lock more rows than the limit.
	claimSQL = `WITH due AS MATERIALIZED (SELECT id%s%s)
UPDATE outbound SET offers = offers + 1, claimed_by = CAST($9 AS TEXT), claimed_until = CAST($10 AS BIGINT),
  claimed_since = CASE WHEN CAST($9 AS TEXT) IS NULL THEN claimed_since ELSE coalesce(claimed_since, $4) END
WHERE id IN (SELECT id FROM due) RETURNING ` + outboundColumns

	// A claim that this statement makes is not an earlier one.
	outboundColumns = `id, enqueued_at, text, retry_count, coalesce(` + cut("last_error") + `, ''), offers,
  ` + claimedBefore + `, coalesce(trace_parent, '')`

	// A reply has the error twice.
	outboundSizes = `SELECT octet_length(text) + 2 * octet_length(coalesce(` + cut("last_error") + `, '')), ` +
		claimedBefore
)

const (
	// claimedBefore is when a message was first claimed, unless by this statement.
	claimedBefore = `CASE WHEN claimed_since < $4 THEN claimed_since END`

	// Reports on outbound messages merge in any order and with any repetition: the value of each column depends only on
	// the set of reports. If a report names the second in which the message was enqueued, it must match. The channel
	// always has to: whoever may publish reports must not be able to remove the messages of other channels.
	sentSQL = `UPDATE outbound SET sent_at = $3, abandoned_at = NULL,
  claimed_by = NULL, claimed_until = NULL, claimed_since = NULL
WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR enqueued_at / 1000 = $2)
  AND channel_id = (SELECT id FROM channels WHERE server_key = $4 AND name_key = $5)
  AND (sent_at IS NULL OR sent_at > $3)`

	// The error and the time are those of the last attempt; of two reports on one attempt, those of the later. The claim
	// ends if it was last renewed before the attempt failed: a late or repeated report must not end a newer claim.
	failedSQL = `UPDATE outbound SET
  last_attempt_at = CASE WHEN ` + isLatestAttempt + ` THEN $3 ELSE last_attempt_at END,
  last_error = CASE WHEN ` + isLatestAttempt + ` THEN $5 ELSE last_error END,
  offers = CASE WHEN retry_count < $4 THEN 0 ELSE offers END,
  retry_count = CASE WHEN retry_count < $4 THEN $4 ELSE retry_count END,
  abandoned_at = CASE WHEN sent_at IS NULL AND CAST($6 AS BOOLEAN) AND coalesce(abandoned_at > $3, TRUE)
    THEN $3 ELSE abandoned_at END,
  claimed_by = CASE WHEN ` + endsClaim + ` THEN NULL ELSE claimed_by END,
  claimed_until = CASE WHEN ` + endsClaim + ` THEN NULL ELSE claimed_until END,
  claimed_since = CASE WHEN ` + endsClaim + ` THEN NULL ELSE claimed_since END
WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR enqueued_at / 1000 = $2)
  AND channel_id = (SELECT id FROM channels WHERE server_key = $8 AND name_key = $9)`

	isLatestAttempt = `(retry_count, coalesce(last_attempt_at, 0), coalesce(last_error, '')) <
    (CAST($4 AS BIGINT), CAST($3 AS BIGINT), CAST($5 AS TEXT))`
	endsClaim = `coalesce(claimed_until, 0) <= CAST($3 AS BIGINT) + $7`
)

// dueSQL selects the messages that a claimant may get. The back-off counts from the last attempt. $5 is when the claims
// of others must have ended, $6 the claimant whose claims do not matter.
var dueSQL = ` FROM outbound
WHERE channel_id = ` + channelID + ` AND sent_at IS NULL AND abandoned_at IS NULL AND retry_count < $3
  AND (retry_count = 0 OR coalesce(last_attempt_at, enqueued_at) + ` + retryDelaySQL() + ` <= $4)
  AND (claimed_by IS NULL OR claimed_until <= $5 OR claimed_by = $6)
ORDER BY offers >= $7, enqueued_at, id LIMIT $8`

// nextDueSQL selects when the next message is due that is not due at $4.
var nextDueSQL = `SELECT min(due) FROM (
  SELECT CASE WHEN retried > unclaimed THEN retried ELSE unclaimed END AS due FROM (
    SELECT coalesce(claimed_until, 0) AS unclaimed,
      CASE WHEN retry_count = 0 THEN 0
        ELSE coalesce(last_attempt_at, enqueued_at) + ` + retryDelaySQL() + ` END AS retried
    FROM outbound
    WHERE channel_id = ` + channelID + ` AND sent_at IS NULL AND abandoned_at IS NULL AND retry_count < $3
  ) AS waiting
) AS times WHERE due > $4`

// retryDelaySQL returns the delay after the last failure in milliseconds as an expression.
func retryDelaySQL() string {
	var delays strings.Builder
	delays.WriteString("CASE retry_count")
	for failures := 1; failures < store.MaxAttempts; failures++ {
		fmt.Fprintf(&delays, " WHEN %d THEN %d", failures, backoff.OutboundDelay(failures).Milliseconds())
	}
	fmt.Fprintf(&delays, " ELSE %d END", backoff.OutboundDelay(store.MaxAttempts).Milliseconds())
	return delays.String()
}

// Enqueue implements store.Store.
func (s Store) Enqueue(ctx context.Context, channel store.Channel, line store.OutboundLine) (id int64, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		row, _, err := s.findChannel(ctx, tx, channel)
		if err == nil {
			id, err = enqueue(ctx, tx, row.id, line)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("enqueueing an outbound message: %w", err)
	}
	return id, nil
}

func enqueue(ctx context.Context, tx Tx, channel int64, line store.OutboundLine) (id int64, err error) {
	const (
		find = `SELECT id FROM outbound WHERE channel_id = $1 AND client_id = $2`
		// No more are counted than are allowed.
		count = `SELECT count(*) FROM (SELECT 1 FROM outbound
WHERE channel_id = $1 AND sent_at IS NULL AND abandoned_at IS NULL LIMIT $2) AS waiting`
		// A conflicting row is updated to itself so that its ID is returned.
		insert = `INSERT INTO outbound (channel_id, enqueued_at, text, client_id, trace_parent, asker)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (channel_id, client_id) WHERE client_id IS NOT NULL DO UPDATE SET client_id = excluded.client_id
RETURNING id`
	)
	clientID, traceParent, asker := orNull(line.ClientID), orNull(line.TraceParent), orNull(line.Asker)
	if clientID != nil {
		id, found, err := selectOne(ctx, tx, find, []any{channel, clientID}, scanValue[int64])
		if err != nil || found {
			return id, err
		}
	}
	if line.MaxWaiting > 0 {
		waiting, _, err := selectOne(ctx, tx, count, []any{channel, line.MaxWaiting}, scanValue[int64])
		if err == nil {
			err = within("outboundWaiting", waiting+1, line.MaxWaiting)
		}
		if err != nil {
			return 0, err
		}
	}
	arguments := []any{channel, line.At.UnixMilli(), store.CleanText(line.Text), clientID, traceParent, asker}
	id, _, err = selectOne(ctx, tx, insert, arguments, scanValue[int64])
	return id, err
}

// orNull returns a text as it is stored, nil for an empty one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return store.CleanText(text)
}

// offer is a message and how often it has been handed out.
type offer struct {
	store.OutboundMessage

	offers int
}

// Outbound implements store.Store. A store that is open for reading claims nothing.
func (s Store) Outbound(
	ctx context.Context, channel store.Channel, query store.OutboundQuery,
) (messages []store.OutboundMessage, err error) {
	claimant := store.CleanText(query.Claimant)
	due := dueArguments(channel, query, query.Now, claimant)
	// The bot asks every two seconds, and mostly nothing is due: then nothing is written.
	count, claimed, err := s.countDue(ctx, query.MaxBytes, due)
	if query.StoredUntil != nil && claimed {
		if applied := query.StoredUntil(ctx); applied.Before(query.Now) {
			due = dueArguments(channel, query, applied, "")
			count, _, err = s.countDue(ctx, query.MaxBytes, due)
		}
	}
	var offers []offer
	due[len(due)-1] = count
	switch {
	case err != nil || count == 0:
	case s.readOnly:
		offers, err = Select(ctx, s.db, `SELECT `+outboundColumns+dueSQL, due, scanOffer)
	default:
		err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
			offers, err = s.claim(ctx, tx, claimant, query.Now.Add(store.ClaimDuration), due)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("finding outbound messages: %w", err)
	}
	messages = make([]store.OutboundMessage, 0, len(offers))
	for _, offer := range offers {
		messages = append(messages, offer.OutboundMessage)
	}
	return messages, nil
}

// NextOutbound implements store.Store.
func (s Store) NextOutbound(
	ctx context.Context, channel store.Channel, maxRetries int, now time.Time,
) (next time.Time, err error) {
	next, _, err = selectOne(ctx, s.db, nextDueSQL, channelArguments(channel, maxRetries, now.UnixMilli()),
		func(row *time.Time) []any { return []any{millis{row}} })
	if err != nil {
		return time.Time{}, fmt.Errorf("finding when the next outbound message is due: %w", err)
	}
	return next, nil
}

// dueArguments returns the arguments of dueSQL, of which the last is the limit. expired is when the claims of others
// must have ended, own the claimant whose claims do not matter.
func dueArguments(channel store.Channel, query store.OutboundQuery, expired time.Time, own string) []any {
	return channelArguments(channel, query.MaxRetries, query.Now.UnixMilli(), expired.UnixMilli(), own,
		store.MaxOffers, max(query.Limit, 0))
}

// countDue returns how many of the messages that are due fit into size bytes, and whether one that is due was claimed
// before. 0: all fit.
func (s Store) countDue(ctx context.Context, size int, due []any) (count int, claimed bool, err error) {
	type dueRow struct {
		size         int64
		claimedSince time.Time
	}
	rows, err := Select(ctx, s.db, outboundSizes+dueSQL, due, func(row *dueRow) []any {
		return []any{&row.size, millis{&row.claimedSince}}
	})
	sizes := make([]int64, 0, len(rows))
	for _, row := range rows {
		sizes = append(sizes, row.size)
		claimed = claimed || !row.claimedSince.IsZero()
	}
	return fit(sizes, int64(cmp.Or(size, math.MaxInt))), claimed, err
}

// claim claims the messages that are due and returns them in the order in which they are to be sent.
func (s Store) claim(ctx context.Context, tx Tx, claimant string, until time.Time, due []any) ([]offer, error) {
	var claimedBy, claimedUntil any
	if claimant != "" {
		claimedBy, claimedUntil = claimant, until.UnixMilli()
	}
	offers, err := Select(ctx, tx, fmt.Sprintf(claimSQL, dueSQL, s.db.SkipLocked()),
		append(slices.Clone(due), claimedBy, claimedUntil), scanOffer)
	sortOffers(offers)
	return offers, err
}

func scanOffer(row *offer) []any {
	return []any{&row.ID, millis{&row.EnqueuedAt}, &row.Text, &row.RetryCount, &row.LastError, &row.offers,
		millis{&row.ClaimedSince}, &row.TraceParent}
}

// sortOffers sorts what an UPDATE returned, whose order is undefined and whose offers include this one.
func sortOffers(offers []offer) {
	last := func(offer offer) int {
		if offer.offers > store.MaxOffers {
			return 1
		}
		return 0
	}
	slices.SortFunc(offers, func(a, b offer) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), a.EnqueuedAt.Compare(b.EnqueuedAt), cmp.Compare(a.ID, b.ID))
	})
}

// sentArguments returns the arguments of sentSQL.
func sentArguments(report store.OutboundSent, channel store.Channel, at int64) []any {
	key := foldChannel(channel)
	return []any{report.ID, unixSeconds(report.EnqueuedAt), at, key.Server, key.Name}
}

// failedArguments returns the arguments of failedSQL.
func failedArguments(report store.OutboundFailed, channel store.Channel, at int64) []any {
	key, failures := foldChannel(channel), int64(report.Attempts)+1
	return []any{
		report.ID, unixSeconds(report.EnqueuedAt), at, failures, report.Error,
		report.Permanent || failures >= store.MaxAttempts, store.ClaimDuration.Milliseconds(), key.Server, key.Name,
	}
}

// unixSeconds returns nil for the zero time.
func unixSeconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}
