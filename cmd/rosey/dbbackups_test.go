package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// storeLine stores a line in a database, as a service would.
func storeLine(t *testing.T, dir, text string) {
	t.Helper()
	s := openStore(t, dir)
	line := store.Event{
		ID: text, Channel: store.Channel{Server: "https://cytu.be", Name: "movies"}, At: time.Now(),
		Fact: store.ChatLine{Username: "alice", Text: text},
	}
	if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
}

// Who has `rosey run` finds the backups that it has made, and restores one of them. The first one is made soon: many
// people run it for an hour only.
func TestBackupsOfRunAreListedAndRestored(t *testing.T) {
	for _, mode := range []string{"nats", "direct"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			flags := []string{"--channel", "movies", "--database", filepath.Join(dir, "rosey.db")}
			storeLine(t, dir, "first")
			expectCall(t, exit.Clean, "none", append([]string{"db", "backup", "list"}, flags...)...)
			p := start(t, "run", "--mode", mode, "--channel", "movies", "--server", "http://127.0.0.1:1", "--data", dir,
				"--http", "127.0.0.1:0")
			natstest.Eventually(t, "a backup", func() bool {
				made, err := filepath.Glob(filepath.Join(dir, "backups", "*.db"))
				return err == nil && len(made) == 1
			})
			if code := p.end(syscall.SIGTERM); code != exit.Clean {
				t.Errorf("exit code %d\n%v", code, p.log())
			}
			storeLine(t, dir, "second")
			// After the loss of a database another one has its place. Somebody has copied a part of its backup.
			other := filepath.Join(dir, "backups", "rosey-00000000-20250101T000000Z.db")
			if err := os.WriteFile(other, nil, 0o600); err != nil {
				t.Fatal(err)
			}

			out := expectCall(t, exit.Clean, "", append([]string{"db", "backup", "list", "-o", "json"}, flags...)...)
			var listed listedBackups
			if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Backups) != 2 {
				t.Fatalf("%v, %s", err, out)
			}
			newest, broken := listed.Backups[0], listed.Backups[1]
			if age := time.Since(time.UnixMilli(newest.Made)); newest.Database != listed.Database || newest.Problem != "" ||
				newest.Bytes == 0 || age > time.Minute {
				t.Errorf("the newest: %+v of %q", newest, listed.Database)
			}
			if broken.File != other || broken.Database == listed.Database || !strings.Contains(broken.Problem, "empty") {
				t.Errorf("the broken one: %+v", broken)
			}
			expectCall(t, exit.Clean, "complete", append([]string{"db", "backup", "list"}, flags...)...)
			expectCall(t, exit.Clean, "intact", append([]string{"db", "backup", "list", "--check"}, flags...)...)
			expectCall(t, exit.Clean, "restored", append([]string{"db", "restore", newest.File}, flags...)...)
			if chat := showData(t, flags...).Chat; len(chat) != 1 || chat[0].Text != "first" {
				t.Errorf("after the restore: %+v", chat)
			}
		})
	}
}

// A database that is lost does not hide its backups.
func TestBackupsAreListedWithoutADatabase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "backups", "rosey-0123abcd-20250101T000000Z.db")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--channel", "movies", "--database", filepath.Join(dir, "rosey.db")}
	storeLine(t, dir, "kept")
	expectCall(t, exit.Clean, "copied", append([]string{"db", "backup", file}, flags...)...)
	if err := os.Remove(filepath.Join(dir, "rosey.db")); err != nil {
		t.Fatal(err)
	}
	expectCall(t, exit.Clean, file, append([]string{"db", "backup", "list", "--check"}, flags...)...)
	expectCall(t, exit.Clean, "restored", append([]string{"db", "restore", file}, flags...)...)
	if chat := showData(t, flags...).Chat; len(chat) != 1 {
		t.Errorf("after the restore: %+v", chat)
	}
	expectCall(t, exit.Usage, "expected text or json", append([]string{"db", "backup", "list", "-o", "x"}, flags...)...)
	expectCall(t, exit.Failure, "listing the backups", append([]string{
		"db", "backup", "list", "--database-backup-directory", file}, flags...)...)
}

// fill adds rows to a database until it has about so many MiB, all of them of now.
func fill(t *testing.T, path string, size int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1 * 64)
INSERT INTO chat (event_id, channel_id, at, username, text)
SELECT 'filled' || i, 1, $2, 'alice', hex(zeroblob(8192)) FROM n`
	if _, err := db.ExecContext(t.Context(), rows, size, time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
}

// runUntilBackup starts a process, and returns it when its backup has reached a size. It returns nil, and the process
// has ended, if the backup was complete before that was seen.
func runUntilBackup(t *testing.T, dir, backups string, size int64) *roseyProcess {
	t.Helper()
	p := start(t, "run", "--mode", "direct", "--channel", "movies", "--server", "http://127.0.0.1:1", "--data", dir,
		"--http", "127.0.0.1:0")
	p.waitFor(status.ReasonServerUnreachable)
	for ; t.Context().Err() == nil; time.Sleep(time.Millisecond) {
		parts, err := filepath.Glob(filepath.Join(backups, "*.part-*"))
		for _, part := range parts {
			if copied, statErr := os.Stat(part); statErr == nil && copied.Size() >= size {
				return p
			}
		}
		made, globErr := filepath.Glob(filepath.Join(backups, "*.db"))
		switch {
		case err != nil || globErr != nil:
			t.Fatal(err, globErr)
		case len(made) > 0:
			p.end(syscall.SIGTERM)
			return nil
		}
	}
	t.Fatal(t.Context().Err())
	return nil
}

// A process that is stopped while it makes a backup ends in time, and neither leaves a part nor says that it has one:
// while it copies, and while it reads the copy.
func TestAStopDuringABackupLeavesNoBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	storeLine(t, dir, "kept")
	fill(t, filepath.Join(dir, "rosey.db"), 48)
	info, err := os.Stat(filepath.Join(dir, "rosey.db"))
	if err != nil {
		t.Fatal(err)
	}
	backups := filepath.Join(dir, "backups")
	for name, size := range map[string]int64{"while it copies": 1, "while it reads the copy": info.Size() * 9 / 10} {
		p := runUntilBackup(t, dir, backups, size)
		for attempts := 1; p == nil; attempts++ { // a busy machine has not looked in time
			if attempts == 10 {
				t.Fatalf("%s: the backup was always complete before", name)
			}
			if err := os.RemoveAll(backups); err != nil {
				t.Fatal(err)
			}
			p = runUntilBackup(t, dir, backups, size)
		}
		if code := p.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("%s: exit code %d\n%v", name, code, p.log())
		}
		if entries, err := os.ReadDir(backups); err != nil || len(entries) > 0 {
			t.Errorf("%s: left behind: %v, %v", name, entries, err)
		}
		if log := fmt.Sprint(p.log()); strings.Contains(log, "backed up") || strings.Contains(log, "the backup failed") {
			t.Errorf("%s: %s", name, log)
		}
	}
}
