package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The temporary directory of a command that was killed has a copy of the whole database, beside the database.
func TestTemporaryDirectoriesOfKilledCommandsAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	running, remove, err := tempDir(parent, ".backup-")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(parent, name) }
	makeDir := func(name string, files ...string) {
		if err := os.Mkdir(in(name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(in(name), file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	makeDir(".backup-killed", tempLock, "backup.db")
	makeDir(".backup-killed early")
	makeDir(".backup-begun")
	makeDir("other", tempLock)
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(in(".backup-killed early"), before, before); err != nil {
		t.Fatal(err)
	}
	_, removeNext, err := tempDir(parent, ".backup-")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		running: true, in(".backup-begun"): true, in("other"): true,
		in(".backup-killed"): false, in(".backup-killed early"): false,
	} {
		if _, err := os.Lstat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", name, err, want)
		}
	}
	for _, remove := range []func() error{remove, removeNext} {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(in(".backup-*")); len(left) != 1 {
		t.Errorf("left: %v, want the one that has just begun", left)
	}
}

// Whoever was to send a backup may have gone without a word: a Job that is removed must not wait for it, and must leave
// nothing beside the database.
func TestReceivingEndsWithTheFirstSignal(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stdin, sender := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- withInput(ctx, "-", parent, stdin, func(string) error { return errors.New("half a file is used") })
	}()
	if _, err := io.WriteString(sender, "the beginning"); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(parent, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := sender.Close(); err != nil { // ends the goroutine that reads
		t.Error(err)
	}
}
