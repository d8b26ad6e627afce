package relational

import (
	"cmp"
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// AddDeadLetters implements store.Store.
func (s Store) AddDeadLetters(
	ctx context.Context, deadLetters []store.DeadLetter, quota store.DeadLetterQuota,
) (removed int64, err error) {
	const insert = `INSERT INTO dead_letters (at, prefix, subject, msg_id, reason, payload, size)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	// The newest are counted and added up from the end.
	trim := `DELETE FROM dead_letters WHERE prefix = $3 AND id <= (SELECT max(id) FROM (
  SELECT id, row_number() OVER (ORDER BY id DESC) AS newer, sum(` + deadLetterSize + `) OVER (ORDER BY id DESC) AS bytes
  FROM dead_letters WHERE prefix = $3) AS sizes WHERE newer > $1 OR bytes > $2)`
	if len(deadLetters) == 0 {
		return 0, nil
	}
	usual := config.Limits{}.WithDefaults()
	rowQuota, byteQuota := cmp.Or(quota.Rows, usual.DeadLetters), cmp.Or(quota.Bytes, usual.DeadLetterBytes)
	rows := make([][]any, 0, len(deadLetters))
	for _, deadLetter := range deadLetters {
		rows = append(rows, []any{
			deadLetter.At.UnixMilli(), deadLetter.Prefix, deadLetter.Subject, deadLetter.MsgID, deadLetter.Reason,
			append([]byte{}, deadLetter.Payload...), deadLetter.Size, // not nil, which would be NULL
		})
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.ExecAll(ctx, insert, rows); err != nil {
			return fmt.Errorf("storing dead letters: %w", err)
		}
		if removed, err = tx.Exec(ctx, trim, rowQuota, byteQuota, deadLetters[0].Prefix); err != nil {
			return fmt.Errorf("removing the oldest dead letters: %w", err)
		}
		return nil
	})
	return removed, err
}

// deadLetterSize is what a dead letter counts towards a quota.
var deadLetterSize = size("payload", "reason", "subject", "msg_id")

// DeadLetters implements store.Store.
func (s Store) DeadLetters(ctx context.Context, prefix string, after int64, limit int) ([]store.DeadLetter, error) {
	const query = `SELECT id, at, prefix, subject, msg_id, reason, payload, size FROM dead_letters
WHERE id > $1 AND ($3 = '' OR prefix IN ('', $3)) ORDER BY id LIMIT $2`
	parameters := []any{after, max(limit, 0), prefix}
	deadLetters, err := Select(ctx, s.db, query, parameters, func(deadLetter *store.DeadLetter) []any {
		return []any{
			&deadLetter.ID, millis{&deadLetter.At}, &deadLetter.Prefix, &deadLetter.Subject, &deadLetter.MsgID,
			&deadLetter.Reason, &deadLetter.Payload, &deadLetter.Size,
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	for i, deadLetter := range deadLetters {
		deadLetters[i].Payload = append([]byte{}, deadLetter.Payload...) // a driver may return nil for an empty payload
	}
	return deadLetters, nil
}

// DropDeadLetter implements store.Store.
func (s Store) DropDeadLetter(ctx context.Context, id int64) (existed bool, err error) {
	removed, err := s.db.Exec(ctx, `DELETE FROM dead_letters WHERE id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("removing dead letter %d: %w", id, err)
	}
	return removed > 0, nil
}
