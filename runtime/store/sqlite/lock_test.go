package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

// A file has one writer, whatever name it is opened by.
func TestOneWriterUnderEveryName(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "rosey.db")
	s := mustOpen(t, path)
	in := func(name string) string { return filepath.Join(other, name) }
	if err := errors.Join(os.Symlink(path, in("link.db")), os.Symlink(in("link.db"), in("link to the link.db")),
		os.Symlink(dir, in("folder")), os.Link(path, in("hard.db")), os.Link(path, filepath.Join(dir, "hard.db")),
	); err != nil {
		t.Fatal(err)
	}
	names := []string{
		in("link.db"), in("link to the link.db"), in("folder/rosey.db"), in("hard.db"), filepath.Join(dir, "hard.db"),
	}
	if bound := bindMount(t, path); bound != "" {
		names = append(names, bound)
	}
	for _, name := range names {
		if second, err := Open(t.Context(), name); err == nil || !strings.Contains(err.Error(), "open in another process") {
			t.Errorf("opened as %s: %v, want the error of the lock", name, err)
			if second != nil {
				mustClose(t, second)
			}
		}
	}
	applyLine(t, s, "still open")
	mustClose(t, s)
	for _, name := range names[:3] {
		mustClose(t, mustOpen(t, name))
	}
}

// bindMount mounts a file alone in another place, as a container does, if this process may.
func bindMount(t *testing.T, path string) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "mounted.db")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(path, target, "", syscall.MS_BIND, ""); err != nil {
		t.Logf("without a bind mount: %v", err)
		return ""
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, 0) })
	return target
}

// A database that is created through a link lies where the link leads, with its lock.
func TestOpenThroughALinkToNothing(t *testing.T) {
	t.Parallel()
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(filepath.Join(dir, "rosey.db"), link); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, link)
	defer mustClose(t, s)
	if _, err := Open(t.Context(), filepath.Join(dir, "rosey.db")); err == nil {
		t.Error("opened twice")
	}
}

// Rows that go into a file that nobody finds are lost, so they must stay with who sent them.
func TestAMovedDatabaseIsNotWritten(t *testing.T) {
	t.Parallel()
	for what, move := range map[string]func(path string) error{
		"removed":            os.Remove,
		"renamed":            func(path string) error { return os.Rename(path, path+".old") },
		"its log removed":    func(path string) error { return os.Remove(path + "-wal") },
		"its index removed":  func(path string) error { return os.Remove(path + "-shm") },
		"its folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"its folder renamed": func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
		"replaced by a copy": func(path string) error { return replaceByCopy(path) },
		"replaced by another": func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "rosey.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, path)
			applyLine(t, s, "before")
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			later := line
			later.ID = "later"
			err := s.Apply(t.Context(), []store.Event{later})
			if !errors.Is(err, store.ErrMoved) || errors.Is(err, store.ErrRejected) || !strings.Contains(err.Error(), path) {
				t.Errorf("a row: %v, want ErrMoved and the name of the file", err)
			}
			mustClose(t, s)
		})
	}
}

// A file that is mounted alone into a container can still be found when no directory has it any more, and so can one
// behind a descriptor.
func TestADatabaseThatNoDirectoryHasIsNotWritten(t *testing.T) {
	t.Parallel()
	for what, other := range map[string]func(t *testing.T, path string) string{
		"mounted alone": bindMount,
		"descriptor": func(t *testing.T, path string) string {
			t.Helper()
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = file.Close() })
			return fmt.Sprintf("/proc/self/fd/%d", file.Fd())
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rosey.db")
			mustClose(t, mustOpen(t, path))
			name := other(t, path)
			if _, err := os.Stat(name); err != nil {
				t.Skip(err)
			}
			s := mustOpen(t, name)
			defer mustClose(t, s)
			applyLine(t, s, "before")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			later := line
			later.ID = "later"
			if err := s.Apply(t.Context(), []store.Event{later}); !errors.Is(err, store.ErrMoved) {
				t.Errorf("a row: %v, want ErrMoved", err)
			}
			if _, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b.db")); !errors.Is(err, store.ErrMoved) {
				t.Errorf("a backup: %v, want ErrMoved", err)
			}
			if err := s.Check(t.Context()); !errors.Is(err, store.ErrMoved) {
				t.Errorf("the check returns %v, want ErrMoved", err)
			}
		})
	}
}

func replaceByCopy(path string) error {
	content, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path+".copy", content, 0o600), os.Rename(path+".copy", path))
}

// Whoever copies a backup over an open database makes it empty first. What would be stored then is mixed with the copy,
// also if the copy is as large as the database was.
func TestAnOverwrittenDatabaseIsNotWritten(t *testing.T) {
	t.Parallel()
	for what, overwrite := range map[string]func(path string) error{
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"cut off": func(path string) error {
			info, err := os.Stat(path)
			return errors.Join(err, os.Truncate(path, info.Size()-4096))
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rosey.db")
			mustClose(t, mustOpen(t, path)) // all is in the file, and nothing in a log
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, path)
			applyLine(t, s, "before")
			if err := overwrite(path); err != nil {
				t.Fatal(err)
			}
			for _, when := range []string{"meanwhile", "with a copy of the same size"} {
				later := line
				later.ID = when
				err := s.Apply(t.Context(), []store.Event{later})
				if !errors.Is(err, store.ErrMoved) || !strings.Contains(err.Error(), path+" was overwritten") {
					t.Errorf("a row %s: %v, want ErrMoved and the name of the file", when, err)
				}
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mustClose(t, s)
		})
	}
}

// Whoever moved a file away by mistake moves it back.
func TestAMovedDatabaseThatComesBackIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, path)
	defer mustClose(t, s)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), []store.Event{line}); !errors.Is(err, store.ErrMoved) {
		t.Errorf("while it is away: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	applyLine(t, s, "back")
}

// The rows in a write-ahead log that was removed are still saved: the process has it open.
func TestTheRowsOfARemovedLogAreSaved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rosey.db")
	s := mustOpen(t, path)
	applyLine(t, s, "in the log")
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), []store.Event{line}); !errors.Is(err, store.ErrMoved) {
		t.Errorf("without a log: %v", err)
	}
	// The process is killed.
	copied := filepath.Join(t.TempDir(), "rosey.db")
	if err := errors.Join(os.WriteFile(copied+"-wal", nil, 0o600), os.WriteFile(path+"-wal", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	kill(t, path, copied)
	if got := chatTexts(t, copied); len(got) != 1 || got[0] != "in the log" {
		t.Errorf("saved: %v", got)
	}
	mustClose(t, s)
}
