package sqlite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
)

// contents returns what tells whether any file of a directory was written, created or removed.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		files[path] = fmt.Sprintf("%s %d %s %x", info.Mode(), info.Size(), info.ModTime(), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// kill copies a database as a process leaves it that is killed: with its write-ahead log, which has content.
func kill(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(from + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	pythonTables = `CREATE TABLE user_stats (username TEXT PRIMARY KEY);
CREATE TABLE recent_chat (id INTEGER PRIMARY KEY, timestamp INTEGER, username TEXT, message TEXT);
INSERT INTO recent_chat VALUES (1, 1, 'alice', 'hi')`
	otherMigrations = `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY, version_id INTEGER, is_applied INTEGER);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1)`
)

// foreignFiles are files of other programs, and what an error says about them.
var foreignFiles = map[string]struct {
	sql, text string // one of them
	says      string
}{
	"of the Python bot":        {sql: pythonTables, says: "Python Rosey"},
	"of a CytubeBot":           {sql: "CREATE TABLE video_stats (a); CREATE TABLE user_count (b)", says: "CytubeBot"},
	"with tables":              {sql: "CREATE TABLE moz_places (a); CREATE TABLE b (b)", says: "tables b, moz_places"},
	"with a view":              {sql: "CREATE VIEW v AS SELECT 1 AS a", says: "tables v"},
	"with a table called evil": {sql: "CREATE TABLE \"e\x1b[2J\nvil\" (a)", says: "vil"},
	"with other migrations":    {sql: otherMigrations, says: "tables goose_db_version"},
	"of a shop with migrations": {
		sql: otherMigrations + "; CREATE TABLE store (id); CREATE TABLE channels (id)", says: "tables channels, goose",
	},
	"marked":   {sql: "PRAGMA application_id = 7", says: "application_id 7"},
	"versions": {sql: "PRAGMA user_version = 3", says: "user_version 3"},
	"text":     {text: "Dear diary, today nobody said anything. " + strings.Repeat("x", 5000), says: "not a database"},
	"short":    {text: "hi", says: "not a database"},
}

// Everything that writes a database, or replaces one, or reads it, must leave the database of another program as it is.
func TestAFileOfAnotherProgramIsNotTouched(t *testing.T) {
	t.Parallel()
	backup := filepath.Join(t.TempDir(), "backup.db")
	own := filepath.Join(t.TempDir(), "rosey.db")
	mustClose(t, mustOpen(t, own))
	if _, err := Backup(t.Context(), own, backup); err != nil {
		t.Fatal(err)
	}
	for name, file := range foreignFiles {
		for _, killed := range []bool{false, true} {
			if killed && (file.text != "" || strings.HasPrefix(file.sql, "PRAGMA")) {
				continue
			}
			t.Run(fmt.Sprintf("%s, killed %v", name, killed), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "rosey.db")
				writeForeign(t, path, file.sql, file.text, killed)
				expectUntouched(t, path, file.says, backup)
			})
		}
	}
}

// writeForeign makes a file of another program: with SQL, or with a text.
func writeForeign(t *testing.T, path, sql, text string, killed bool) {
	t.Helper()
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.db")
	db := openAny(t, elsewhere)
	if !killed {
		mustExec(t, db, "PRAGMA journal_mode = DELETE")
	}
	mustExec(t, db, sql)
	if killed {
		kill(t, elsewhere, path)
		return
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(elsewhere, path); err != nil {
		t.Fatal(err)
	}
}

func expectUntouched(t *testing.T, path, says, backup string) {
	t.Helper()
	before := contents(t, filepath.Dir(path))
	for what, attempt := range map[string]func() error{
		"open":             func() error { _, err := Open(t.Context(), path); return err },
		"open for reading": func() error { _, err := OpenReadOnly(t.Context(), path); return err },
		"restore":          func() error { _, err := Restore(t.Context(), backup, path); return err },
		"back up":          func() error { _, err := Backup(t.Context(), path, path+".copy"); return err },
		"restore from": func() error {
			_, err := Restore(t.Context(), path, filepath.Join(t.TempDir(), "rosey.db"))
			return err
		},
	} {
		err := attempt()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want an error with %q", what, err, says)
		}
		if diff := cmp.Diff(before, contents(t, filepath.Dir(path))); diff != "" {
			t.Errorf("%s: the files changed: %s", what, diff)
		}
	}
}

func TestAFileOfALaterVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rosey.db")
	mustClose(t, mustOpen(t, path))
	execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	copied := filepath.Join(t.TempDir(), "rosey.db") // without a lock file
	if err := os.Rename(path, copied); err != nil {
		t.Fatal(err)
	}
	before := contents(t, filepath.Dir(copied))
	if _, err := Open(t.Context(), copied); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("opening: %v, want ErrNewerSchema", err)
	}
	if diff := cmp.Diff(before, contents(t, filepath.Dir(copied))); diff != "" {
		t.Error(diff)
	}
}

// A first start that was killed before its first migration leaves the table of the migrations. One that was killed
// later has nearly everything in the write-ahead log.
func TestAnInterruptedFirstStartIsContinued(t *testing.T) {
	t.Parallel()
	path, killed := filepath.Join(t.TempDir(), "rosey.db"), filepath.Join(t.TempDir(), "killed.db")
	createVersion(t, path, 0)
	mustClose(t, mustOpen(t, path))

	s := mustOpen(t, filepath.Join(t.TempDir(), "running.db"))
	defer mustClose(t, s)
	applyLine(t, s, "in the log")
	kill(t, s.path, killed)
	if got := fmt.Sprint(chatTexts(t, killed)); got != "[in the log]" {
		t.Errorf("read: %s", got)
	}
	mustClose(t, mustOpen(t, killed))
	if got := fmt.Sprint(chatTexts(t, killed)); got != "[in the log]" {
		t.Errorf("after it was opened: %s", got)
	}
}
