package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/relational"
)

// TestAStatementThatFailsWithTheCommit checks that nothing of a transaction is stored whose last statements are sent
// with the commit and fail there, and that the connection can be used again.
func TestAStatementThatFailsWithTheCommit(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	const add = `INSERT INTO channels (server_key, name_key, name) VALUES ('s', $1, $1)`
	write := func(names ...any) error {
		return s.db.Write(t.Context(), func(ctx context.Context, tx relational.Tx) error {
			for _, name := range names {
				if err := tx.ExecLater(ctx, "channels", add, [][]any{{name}}); err != nil {
					t.Errorf("%v was sent before the commit: %v", name, err)
				}
			}
			return nil
		})
	}
	err := write("a", nil, "b") // NULL is no name
	if !errors.Is(err, store.ErrRejected) || !strings.Contains(err.Error(), "storing rows of channels: ") {
		t.Errorf("got %v, expected that the database rejects rows of channels", err)
	}
	if err := write("c"); err != nil {
		t.Error(err)
	}
	if err := write(); err != nil {
		t.Errorf("a transaction without a statement: %v", err)
	}
	names, err := relational.Select(t.Context(), s.db, "SELECT name FROM channels ORDER BY name", nil,
		func(name *string) []any { return []any{name} })
	if err != nil || len(names) != 1 || names[0] != "c" {
		t.Errorf("channels %v, %v, expected c alone", names, err)
	}
}
