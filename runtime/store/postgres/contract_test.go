package postgres

import (
	"os"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

// mustOpen opens a database, to be closed with the test.
func mustOpen(t testing.TB, urlFile string) *Store {
	t.Helper()
	s, err := Open(t.Context(), urlFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, server.URLFile(t)) })
}
