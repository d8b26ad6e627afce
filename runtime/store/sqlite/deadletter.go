package sqlite

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// AddDeadLetters implements store.Store.
func (s *Store) AddDeadLetters(ctx context.Context, letters []store.DeadLetter) error {
	const insert = `INSERT INTO dead_letters (at, subject, msg_id, reason, payload, size) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING`
	return s.change(ctx, func(b *batch) error {
		for _, letter := range letters {
			_, err := b.tx.ExecContext(ctx, insert, letter.At.UnixMilli(), letter.Subject, letter.MsgID, letter.Reason,
				append([]byte{}, letter.Payload...), letter.Size) // not nil, which would be NULL
			if err != nil {
				return fmt.Errorf("keeping a dead letter: %w", err)
			}
		}
		const bound = `DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?`
		if _, err := b.tx.ExecContext(ctx, bound, store.MaxDeadLetters); err != nil {
			return fmt.Errorf("dropping the oldest dead letters: %w", err)
		}
		return nil
	})
}

// DeadLetters implements store.Store.
func (s *Store) DeadLetters(ctx context.Context, after int64, limit int) ([]store.DeadLetter, error) {
	const query = `SELECT id, at, subject, msg_id, reason, payload, size FROM dead_letters
WHERE id > ? ORDER BY id LIMIT max(?, 0)`
	letters, err := scanRows(ctx, s.read, query, []any{after, limit}, func(letter *store.DeadLetter) []any {
		return []any{
			&letter.ID, millis{&letter.At}, &letter.Subject, &letter.MsgID, &letter.Reason, &letter.Payload, &letter.Size,
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	return letters, nil
}

// DropDeadLetter implements store.Store.
func (s *Store) DropDeadLetter(ctx context.Context, id int64) (existed bool, err error) {
	removed, err := s.updateCounting(ctx, fmt.Sprintf("dropping dead letter %d", id),
		`DELETE FROM dead_letters WHERE id = ?`, id)
	return removed > 0, err
}
