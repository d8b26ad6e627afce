package platform

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|OpenUntrusted, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // some are closed before
	return file
}

// A lock is that of an open file: it ends when the file is closed, also by the end of a process.
func TestLocksOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	if err := TryLock(first); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Truncate(0), os.WriteFile(path, []byte("holder"), 0o600)); err != nil {
		t.Errorf("writing a locked file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "holder" {
		t.Errorf("reading a locked file: %q, %v", text, err)
	}
	if err := TryLock(second); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	if err := TryLockShared(second); !errors.Is(err, ErrLocked) {
		t.Errorf("a shared lock beside an exclusive one: %v", err)
	}
	if err := errors.Join(first.Close(), Lock(second), second.Close()); err != nil {
		t.Fatal(err)
	}
	third, fourth := open(t, path), open(t, path)
	if err := errors.Join(TryLockShared(third), TryLockShared(fourth)); err != nil {
		t.Errorf("two shared locks: %v", err)
	}
	if err := TryLock(open(t, path)); !errors.Is(err, ErrLocked) {
		t.Errorf("an exclusive lock beside shared ones: %v", err)
	}
}

func TestSpaceOfAVolume(t *testing.T) {
	if free, err := FreeSpace(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes are free, %v", free, err)
	}
	if _, err := FreeSpace(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a directory that is absent has free space")
	}
}
