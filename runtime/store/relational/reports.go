package relational

import (
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Reports on outbound messages merge in any order and with any repetition: each column depends on the set of reports
// alone. The message must have been enqueued in the second that the report names, if it names one.
const (
	sentSQL = `UPDATE outbound SET sent_at = $3, abandoned_at = NULL,
  claimed_by = NULL, claimed_until = NULL, claimed_since = NULL
WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR enqueued_at / 1000 = $2)
  AND (sent_at IS NULL OR sent_at > $3)`

	// The error and the time are those of the last attempt; of two reports of one attempt those of the later one. The
	// claim ends if it was last renewed before the attempt failed: a repeated report must not end a newer claim.
	failedSQL = `UPDATE outbound SET
  last_attempt_at = CASE WHEN ` + latestAttempt + ` THEN $3 ELSE last_attempt_at END,
  last_error = CASE WHEN ` + latestAttempt + ` THEN $5 ELSE last_error END,
  offers = CASE WHEN retry_count < $4 THEN 0 ELSE offers END,
  retry_count = CASE WHEN retry_count < $4 THEN $4 ELSE retry_count END,
  abandoned_at = CASE WHEN sent_at IS NULL AND CAST($6 AS BOOLEAN) AND coalesce(abandoned_at > $3, TRUE)
    THEN $3 ELSE abandoned_at END,
  claimed_by = CASE WHEN ` + claimEnds + ` THEN NULL ELSE claimed_by END,
  claimed_until = CASE WHEN ` + claimEnds + ` THEN NULL ELSE claimed_until END,
  claimed_since = CASE WHEN ` + claimEnds + ` THEN NULL ELSE claimed_since END
WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR enqueued_at / 1000 = $2)`

	latestAttempt = `(retry_count, coalesce(last_attempt_at, 0), coalesce(last_error, '')) <
    (CAST($4 AS BIGINT), CAST($3 AS BIGINT), CAST($5 AS TEXT))`
	claimEnds = `coalesce(claimed_until, 0) <= CAST($3 AS BIGINT) + $7`
)

// sentRow returns the arguments of sentSQL.
func sentRow(report store.OutboundSent, at int64) []any {
	return []any{report.ID, seconds(report.EnqueuedAt), at}
}

// failedRow returns the arguments of failedSQL.
func failedRow(report store.OutboundFailed, at int64) []any {
	failures := int64(report.Attempts) + 1
	return []any{
		report.ID, seconds(report.EnqueuedAt), at, failures, report.Error,
		report.Permanent || failures >= store.MaxAttempts, store.OutboundLease.Milliseconds(),
	}
}

// seconds returns a time in whole seconds, or nil for the zero time.
func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}
