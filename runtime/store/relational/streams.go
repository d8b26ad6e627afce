package relational

import (
	"context"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// emptySQL selects 1 if no table has a row that belongs to a channel, and no dead letter. A channel without rows does
// not count: a service records it when it starts.
var emptySQL = func() string {
	var exists []string
	for _, table := range copiedTables {
		if table.Name != positionsTable.Name {
			exists = append(exists, "EXISTS (SELECT 1 FROM "+table.Name+")")
		}
	}
	return "SELECT CASE WHEN " + strings.Join(exists, " OR ") + " THEN 0 ELSE 1 END"
}()

func isEmpty(ctx context.Context, from Executor) (bool, error) {
	empty, _, err := selectOne(ctx, from, emptySQL, nil, scanValue[int64])
	if err != nil {
		return false, fmt.Errorf("looking for rows: %w", err)
	}
	return empty == 1, nil
}

// Empty implements store.Store.
func (s Store) Empty(ctx context.Context) (bool, error) { return isEmpty(ctx, s.db) }

// StreamPosition implements store.Store.
func (s Store) StreamPosition(
	ctx context.Context, stream string,
) (position store.StreamPosition, found bool, err error) {
	const query = "SELECT stream, created, sequence FROM stream_positions WHERE stream = $1"
	var sequence int64
	position, found, err = selectOne(ctx, s.db, query, []any{stream}, func(row *store.StreamPosition) []any {
		return []any{&row.Stream, millis{&row.Created}, &sequence}
	})
	if err != nil {
		return store.StreamPosition{}, false, fmt.Errorf("reading how far the stream is stored: %w", err)
	}
	position.Sequence = uint64(sequence) //nolint:gosec // the table has no negative ones
	return position, found, nil
}

// AdvanceStream implements store.Store.
func (s Store) AdvanceStream(ctx context.Context, position store.StreamPosition) error {
	sequence := int64(position.Sequence) //nolint:gosec // a stream does not get that long
	row := []any{position.Stream, position.Created.UnixMilli(), sequence}
	err := s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.Exec(ctx, positionsTable.Upsert(), row...)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording how far the stream is stored: %w", err)
	}
	return nil
}
