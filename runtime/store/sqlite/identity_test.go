package sqlite

import (
	"path/filepath"
	"testing"
)

func identityOf(t *testing.T, s *Store) string {
	t.Helper()
	id, err := s.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestADatabaseKeepsItsIdentityAndSharesItWithNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, path)
	first := identityOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if again := identityOf(t, reader); again != first {
		t.Errorf("opened again: %s, want %s", again, first)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	if id := identityOf(t, other); id == first {
		t.Errorf("another database has the identity %s too", id)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}
