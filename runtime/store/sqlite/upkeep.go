package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Optimize implements store.Store. There is no VACUUM: it would stop all writing for as long as it
// takes to copy the file, and need as much space again. Pages that became free are used again.
func (s *Store) Optimize(ctx context.Context) error {
	// The limit bounds how much of each index is read.
	if _, err := s.db.Exec(ctx, "PRAGMA analysis_limit = 1000; PRAGMA optimize"); err != nil {
		return fmt.Errorf("optimizing the database: %w", err)
	}
	return nil
}

// Size implements store.Store: the file with its write-ahead log.
func (s *Store) Size(context.Context) (size int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(s.path + suffix)
		switch {
		case err == nil:
			size += info.Size()
		case suffix == "" || !errors.Is(err, os.ErrNotExist):
			return 0, fmt.Errorf("measuring the database: %w", err)
		}
	}
	return size, nil
}
