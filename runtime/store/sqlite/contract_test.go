package sqlite

import (
	"path/filepath"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/storetest"
)

func openNew(t *testing.T) store.Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "rosey.db"))
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

func TestContract(t *testing.T) { storetest.Run(t, openNew) }
