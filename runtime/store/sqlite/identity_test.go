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

func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, path)
	first := identityOf(t, s)
	mustClose(t, s)
	reader, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if again := identityOf(t, reader); again != first {
		t.Errorf("opened again: %s, want %s", again, first)
	}
	mustClose(t, reader)
	other := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	if id := identityOf(t, other); id == first {
		t.Errorf("another database has the identity %s too", id)
	}
	mustClose(t, other)
}

func TestIdentityAfterRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	want := identityOf(t, s)
	mustClose(t, s)
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(dir, "elsewhere.db")
	if _, err := Restore(t.Context(), backup, elsewhere); err != nil {
		t.Fatal(err)
	}
	restored := mustOpen(t, elsewhere)
	if got := identityOf(t, restored); got != want {
		t.Errorf("restored: %s, want %s", got, want)
	}
	mustClose(t, restored)
}
