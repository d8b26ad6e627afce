package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// AddDeadLetters implements store.Store.
func (s Store) AddDeadLetters(ctx context.Context, letters []store.DeadLetter) error {
	const (
		insert = `INSERT INTO dead_letters (at, subject, msg_id, reason, payload, size) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING`
		bound = `DELETE FROM dead_letters WHERE id <= (SELECT id FROM dead_letters ORDER BY id DESC LIMIT 1 OFFSET $1)`
	)
	rows := make([][]any, 0, len(letters))
	for _, letter := range letters {
		rows = append(rows, []any{
			letter.At.UnixMilli(), letter.Subject, letter.MsgID, letter.Reason,
			append([]byte{}, letter.Payload...), letter.Size, // not nil, which would be NULL
		})
	}
	return s.db.Write(ctx, func(session Session) error {
		if _, err := session.ExecAll(ctx, insert, rows); err != nil {
			return fmt.Errorf("keeping dead letters: %w", err)
		}
		if _, err := session.Exec(ctx, bound, store.MaxDeadLetters); err != nil {
			return fmt.Errorf("dropping the oldest dead letters: %w", err)
		}
		return nil
	})
}

// DeadLetters implements store.Store.
func (s Store) DeadLetters(ctx context.Context, after int64, limit int) ([]store.DeadLetter, error) {
	const query = `SELECT id, at, subject, msg_id, reason, payload, size FROM dead_letters
WHERE id > $1 ORDER BY id LIMIT $2`
	letters, err := Select(ctx, s.db, query, []any{after, max(limit, 0)}, func(letter *store.DeadLetter) []any {
		return []any{
			&letter.ID, Millis{&letter.At}, &letter.Subject, &letter.MsgID, &letter.Reason, &letter.Payload, &letter.Size,
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	for i, letter := range letters {
		letters[i].Payload = append([]byte{}, letter.Payload...) // to a driver no bytes may be NULL
	}
	return letters, nil
}

// DropDeadLetter implements store.Store.
func (s Store) DropDeadLetter(ctx context.Context, id int64) (existed bool, err error) {
	removed, err := s.db.Exec(ctx, `DELETE FROM dead_letters WHERE id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("dropping dead letter %d: %w", id, err)
	}
	return removed > 0, nil
}
