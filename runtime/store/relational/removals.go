package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// Removals implements store.Store.
func (s Store) Removals(ctx context.Context, servedBy string) ([]store.Removal, error) {
	const query = `SELECT kind, served_by, kept_ms, announced_at FROM removals WHERE served_by = $1 ORDER BY kind`
	type row struct {
		store.Removal

		kept int64
	}
	rows, err := Select(ctx, s.db, query, []any{servedBy}, func(r *row) []any {
		return []any{(*string)(&r.Kind), &r.ServedBy, &r.kept, millis{&r.AnnouncedAt}}
	})
	if err != nil {
		return nil, fmt.Errorf("reading announced removals: %w", err)
	}
	removals := make([]store.Removal, len(rows))
	for i, row := range rows {
		removals[i] = row.Removal
		removals[i].Kept = time.Duration(row.kept) * time.Millisecond
	}
	return removals, nil
}

// AnnounceRemoval implements store.Store.
func (s Store) AnnounceRemoval(ctx context.Context, removal store.Removal) error {
	const query = `INSERT INTO removals (kind, served_by, kept_ms, announced_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, served_by) DO UPDATE SET kept_ms = excluded.kept_ms, announced_at = excluded.announced_at`
	_, err := s.db.Exec(ctx, query, string(removal.Kind), removal.ServedBy, removal.Kept.Milliseconds(),
		removal.AnnouncedAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("announcing a removal of %s: %w", removal.Kind, err)
	}
	return nil
}

// ForgetRemoval implements store.Store.
func (s Store) ForgetRemoval(ctx context.Context, kind store.RowKind, servedBy string) error {
	const query = `DELETE FROM removals WHERE kind = $1 AND served_by = $2`
	if _, err := s.db.Exec(ctx, query, string(kind), servedBy); err != nil {
		return fmt.Errorf("forgetting a removal of %s: %w", kind, err)
	}
	return nil
}
