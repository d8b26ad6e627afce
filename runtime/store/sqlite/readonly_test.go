package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// states are the states in which a reader may find a database, and the lines that it has.
func states(t *testing.T) map[string]struct{ path, lines string } {
	t.Helper()
	closed, killed := filepath.Join(t.TempDir(), "rosey.db"), filepath.Join(t.TempDir(), "rosey.db")
	copied := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, closed)
	applyLine(t, s, "a")
	mustClose(t, s)
	s = mustOpen(t, killed)
	t.Cleanup(func() { mustClose(t, s) })
	for i := range 50 {
		applyLine(t, s, fmt.Sprint("line ", i)) // each is a transaction in the log
	}
	kill(t, killed, copied)
	return map[string]struct{ path, lines string }{
		"closed": {closed, "[a]"}, "killed": {copied, fmt.Sprint(chatTexts(t, killed))},
	}
}

// Reading must not need the permission to write, and change nothing: SQLite would create its index of the write-ahead
// log beside the database.
func TestReadingWritesNothing(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			before := contents(t, filepath.Dir(state.path))
			if got := fmt.Sprint(chatTexts(t, state.path)); got != state.lines {
				t.Errorf("read: %s, want %s", got, state.lines)
			}
			backup := filepath.Join(t.TempDir(), "backup.db")
			if _, err := Backup(t.Context(), state.path, backup); err != nil {
				t.Error(err)
			}
			if got := fmt.Sprint(chatTexts(t, backup)); got != state.lines {
				t.Errorf("the backup: %s, want %s", got, state.lines)
			}
			if _, err := Restore(t.Context(), state.path, filepath.Join(t.TempDir(), "restored.db")); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, contents(t, filepath.Dir(state.path))); diff != "" {
				t.Errorf("the files changed: %s", diff)
			}
		})
	}
}

// What is only in the write-ahead log is read also through a symbolic link, beside which there is no log.
func TestReadingThroughALinkReadsTheLog(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		link := filepath.Join(t.TempDir(), "link.db")
		if err := os.Symlink(state.path, link); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(chatTexts(t, link)); got != state.lines {
			t.Errorf("%s: read %s, want %s", name, got, state.lines)
		}
	}
}

// A log is read up to its last complete transaction, as SQLite does.
func TestAnIncompleteTransactionIsNotRead(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	applyLine(t, s, "complete")
	killed := filepath.Join(t.TempDir(), "killed.db")
	complete, err := os.Stat(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	applyLine(t, s, "incomplete")
	for _, damage := range []func() error{
		func() error { return os.Truncate(killed+"-wal", complete.Size()+100) },
		func() error { return os.Truncate(killed+"-wal", complete.Size()) },
		func() error {
			content, err := os.ReadFile(killed + "-wal")
			content[complete.Size()+200]++
			return errors.Join(err, os.WriteFile(killed+"-wal", content, 0o600))
		},
	} {
		kill(t, s.path, killed)
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(chatTexts(t, killed)); got != "[complete]" {
			t.Errorf("read: %s", got)
		}
	}
}

// A service that starts while its database is read would change what is read.
func TestReadingNoticesAServiceThatStarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rosey.db")
	mustClose(t, mustOpen(t, path))
	reader, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	applyLine(t, s, "hi")
	mustClose(t, s) // and so writes the database itself
	if err := reader.Close(); !errors.Is(err, errInUse) {
		t.Errorf("closing: %v, want errInUse", err)
	}
}

// A directory, a link that leads nowhere and a file without permission are said to be what they are.
func TestErrorsOfReadingAreTrue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := errors.Join(os.Symlink(loop, loop), os.Symlink(filepath.Join(dir, "absent"), filepath.Join(dir, "dangling")),
		os.WriteFile(filepath.Join(dir, "empty.db"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		dir: "no regular file", "/dev/null": "no regular file", loop: "too many",
		filepath.Join(dir, "dangling"): "no such file",
		filepath.Join(dir, "empty.db"): "empty",
	} {
		for what, open := range map[string]func() error{
			"for reading": func() error { _, err := OpenReadOnly(t.Context(), path); return err },
			"to back up":  func() error { _, err := Backup(t.Context(), path, filepath.Join(dir, "backup.db")); return err },
		} {
			if err := open(); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s %s: %v, want %q", path, what, err, says)
			}
		}
	}
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := os.Lstat(dir + lockSuffix); err == nil {
		t.Error("a lock was created beside a directory")
	}
}

// A program without a write-ahead log that was killed in a transaction leaves a journal, which only a writer can apply.
func TestAnIncompleteTransactionOfAnotherProgramIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	path, killed := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "b.db")
	db := openAny(t, path)
	db.SetMaxOpenConns(1)
	mustExec(t, db, "PRAGMA journal_mode = DELETE; CREATE TABLE a (a)")
	mustExec(t, db, "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN")
	for range 100 {
		mustExec(t, db, "INSERT INTO a VALUES (randomblob(5000))")
	}
	for _, suffix := range []string{"", "-journal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(killed+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, filepath.Dir(killed))
	for what, open := range map[string]func() error{
		"for writing": func() error { _, err := Open(t.Context(), killed); return err },
		"for reading": func() error { _, err := OpenReadOnly(t.Context(), killed); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "a transaction is not complete") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff(before, contents(t, filepath.Dir(killed))); diff != "" {
		t.Errorf("the files changed: %s", diff)
	}
}

// mountReadOnly mounts a directory in another place, where nobody may write, or skips the test if this process may not.
func mountReadOnly(t *testing.T, dir string) string {
	t.Helper()
	target := t.TempDir()
	err := syscall.Mount(dir, target, "", syscall.MS_BIND, "")
	if err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
		err = syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	if err != nil {
		t.Skip("this process may not mount: ", err)
	}
	return target
}

// A volume may be mounted for reading alone, also while a service writes the database through another mount.
func TestReadingWhereNobodyMayWrite(t *testing.T) {
	t.Parallel()
	all := states(t)
	live := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, live)
	defer mustClose(t, s)
	applyLine(t, s, "live")
	all["live"] = struct{ path, lines string }{live, "[live]"}
	for name, state := range all {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(mountReadOnly(t, filepath.Dir(state.path)), "rosey.db")
			if got := fmt.Sprint(chatTexts(t, path)); got != state.lines {
				t.Errorf("read: %s, want %s", got, state.lines)
			}
			if _, err := Backup(t.Context(), path, filepath.Join(t.TempDir(), "backup.db")); err != nil {
				t.Error(err)
			}
			if _, err := Open(t.Context(), path); err == nil {
				t.Error("opened for writing")
			} else if !strings.Contains(err.Error(), "read-only file system") && name != "live" {
				t.Errorf("opened for writing: %v", err)
			}
		})
	}
}
