package sqlite

import (
	"context"
	"fmt"
)

// Identity implements store.Store.
func (s *Store) Identity(ctx context.Context) (string, error) {
	var id string
	if err := s.read.QueryRowContext(ctx, "SELECT id FROM identity").Scan(&id); err != nil {
		return "", fmt.Errorf("reading the database's identity: %w", classify(err))
	}
	return id, nil
}
