package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// openStore opens the database of writeConfig for writing, as a service does.
func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "rosey.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// expectCall runs a command and checks its exit code, and that its output or error output contains a text.
func expectCall(t *testing.T, code int, text string, arguments ...string) (stdout string) {
	t.Helper()
	got, stdout, stderr := call(t, arguments...)
	if got != code || !strings.Contains(stdout+stderr, text) {
		t.Errorf("rosey %s: exit code %d, %s%s; want %d and %q",
			strings.Join(arguments, " "), got, stdout, stderr, code, text)
	}
	return stdout
}

func TestDeadLetterCommands(t *testing.T) {
	dir := t.TempDir()
	file := writeConfig(t, dir, "nats://127.0.0.1:1")
	expectCall(t, exit.Failure, "no such file", "db", "dead", "drop", "--all", "--config", file)
	s := openStore(t, dir)
	at := time.UnixMilli(1763700000000)
	letters := []store.DeadLetter{
		store.NewDeadLetter(string(bus.MessageLog), "", "was too early", []byte(`{"username":"alice","message":"hi"}`), at),
		store.NewDeadLetter(string(bus.MessageLog), "", "not JSON", []byte("{\xff\x1b[2J"), at),
		store.NewDeadLetter(string(bus.MessageLog), "", "not JSON either", []byte("]"), at),
	}
	if _, err := s.AddDeadLetters(t.Context(), letters, store.DeadLetterQuota{}); err != nil {
		t.Fatal(err)
	}
	expectCall(t, exit.Failure, "open in another process", "db", "dead", "drop", "1", "--config", file)
	text := expectCall(t, exit.Clean, "was too early", "db", "dead", "list", "--config", file)
	if strings.Contains(text, "\x1b") {
		t.Errorf("the list contains control characters: %q", text)
	}
	closeStore(t, s)

	for _, arguments := range [][]string{{"drop"}, {"drop", "1", "--all"}, {"retry", "x"}, {"retry", "0"}} {
		expectCall(t, exit.Usage, "expected", append([]string{"db", "dead", "--config", file}, arguments...)...)
	}
	expectCall(t, exit.Failure, "dead letter 4711: not found", "db", "dead", "drop", "3", "4711", "--config", file)
	expectCall(t, exit.Failure, "retry: 1 done", "db", "dead", "retry", "--all", "--config", file)
	var left []bus.DeadLetter
	listed := expectCall(t, exit.Clean, "", "db", "dead", "list", "-o", "json", "--config", file)
	if err := json.Unmarshal([]byte(listed), &left); err != nil {
		t.Fatal(err)
	}
	want := []bus.DeadLetter{{
		ID: 2, Time: at.UnixMilli(), Subject: "db.message.log", Reason: "not JSON", Size: 6, Payload: "{\uFFFD\x1b[2J",
	}}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
	if chat := show(t, file).Chat; len(chat) != 1 || chat[0].Text != "hi" {
		t.Errorf("chat after the retry: %v", chat)
	}
	expectCall(t, exit.Clean, "drop: 1 done", "db", "dead", "drop", "--all", "--config", file)
	expectCall(t, exit.Clean, "no dead letters", "db", "dead", "list", "--config", file)
}

// Beside a service that has the database open, dead letters are listed, retried and dropped over NATS.
func TestDeadLetterCommandsBesideTheService(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), natstest.Start(t).URL()
	file := writeConfig(t, dir, url)
	s := openStore(t, dir)
	var letters []store.DeadLetter
	for i := range 2*bus.MaxDeadChangeIDs + 1 {
		data := fmt.Sprintf(`{"username":"alice","message":"line %d"}`, i)
		letters = append(letters, store.NewDeadLetter(string(bus.MessageLog), "", "was too early", []byte(data), time.Now()))
	}
	letters = append(letters, store.NewDeadLetter(string(bus.MessageLog), "", "not JSON", []byte("]"), time.Now()))
	if _, err := s.AddDeadLetters(t.Context(), letters, store.DeadLetterQuota{}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	service := start(t, "db", "--config", file)
	service.waitFor(status.ReasonReady)

	expectCall(t, exit.Clean, "was too early", "db", "dead", "list", "--config", file)
	retried := fmt.Sprintf("retry: %d done", len(letters)-1)
	expectCall(t, exit.Failure, retried, "db", "dead", "retry", "--all", "--config", file)
	expectCall(t, exit.Failure, "4711: not found", "db", "dead", "drop", "4711", "--config", file)
	expectCall(t, exit.Clean, "drop: 1 done", "db", "dead", "drop", "--all", "--config", file)
	expectCall(t, exit.Clean, "no dead letters", "db", "dead", "list", "--config", file)
	if lines := len(show(t, file).Chat); lines != len(letters)-1 {
		t.Errorf("%d lines are stored, want %d", lines, len(letters)-1)
	}
	service.end(syscall.SIGTERM)
}

func TestBackupAndRestoreCommands(t *testing.T) {
	dir := t.TempDir()
	file, backup := writeConfig(t, dir, "nats://127.0.0.1:1"), filepath.Join(dir, "backup.db")
	expectCall(t, exit.Failure, "rosey.db", "db", "backup", backup, "--config", file)
	s := openStore(t, dir)
	line := store.Event{
		ID: "1", Channel: store.Channel{Server: "https://cytu.be", Name: "Movies"}, At: time.UnixMilli(1763700000000),
		Fact: store.ChatLine{Username: "alice", Text: "hi"},
	}
	if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	expectCall(t, exit.Clean, "bytes", "db", "backup", backup, "--config", file)
	expectCall(t, exit.Failure, "it exists", "db", "backup", backup, "--config", file)
	line.ID, line.At = "2", line.At.Add(time.Second)
	if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	expectCall(t, exit.Failure, "open in another process", "db", "restore", backup, "--config", file)
	closeStore(t, s)
	expectCall(t, exit.Clean, "the previous database is now", "db", "restore", backup, "--config", file)
	if chat := show(t, file).Chat; len(chat) != 1 {
		t.Errorf("chat after the restore: %v, want only the first line", chat)
	}
	older := filepath.Join(dir, "older.db")
	createOlder(t, older)
	expectCall(t, exit.Clean, "version 10, was brought up to version", "db", "restore", older, "--config", file)
	if chat := show(t, file).Chat; len(chat) != 0 {
		t.Errorf("chat of an empty backup: %v", chat)
	}
}

// createOlder creates a database with the schema of an earlier version.
func createOlder(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("../../runtime/store/sqlite/migrations"),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
}

// A backup is written to the standard output beside a running service, and restored from the standard input, as
// kubectl does it. So is an import. Nothing else stays in the directory.
func TestBackupsAndImportsThroughPipes(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), natstest.Start(t).URL()
	file := writeConfig(t, dir, url)
	service := start(t, "db", "--config", file)
	service.waitFor(status.ReasonReady)
	backup, err := program(t, "db", "backup", "-", "--config", file).Output()
	if err != nil || !strings.HasPrefix(string(backup), "SQLite format 3") {
		t.Fatalf("backup: %v, %d bytes", err, len(backup))
	}
	python, err := os.ReadFile(writePython(t))
	if err != nil {
		t.Fatal(err)
	}
	piped := func(input []byte, arguments ...string) (string, error) {
		command := program(t, append(arguments, "--config", file)...)
		command.Stdin = bytes.NewReader(input)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := piped(backup, "db", "restore", "-"); err == nil || !strings.Contains(out, "open in another process") {
		t.Errorf("restoring beside the service: %v, %s", err, out)
	}
	service.end(syscall.SIGTERM)
	for _, test := range []struct {
		input []byte
		want  string
		verb  []string
	}{
		{backup, "from -", []string{"db", "restore", "-"}},
		{python, "recent_chat", []string{"import", "-", "--drop-older"}},
	} {
		if out, err := piped(test.input, test.verb...); err != nil || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v, %s", test.verb, err, out)
		}
	}
	if out, err := piped(backup[:len(backup)/2], "db", "restore", "-"); err == nil {
		t.Errorf("half of a backup: %s", out)
	}
	for _, pattern := range []string{".received-*", ".backup-*"} {
		if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestFilesOfCommandsAreForTheirOwnerAlone runs every command that makes a database file with a umask that hides
// nothing, and in a directory that others may read.
func TestFilesOfCommandsAreForTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	before := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(before) })
	in := func(name string) string { return filepath.Join(dir, name) }
	flags := []string{"--channel", "movies", "--database", in("rosey.db")}
	for _, arguments := range [][]string{
		append([]string{"import", writePython(t), "--drop-older"}, flags...),
		append([]string{"db", "backup", in("backup.db")}, flags...),
		append([]string{"db", "restore", in("backup.db")}, flags...),
		append([]string{"db", "show"}, flags...),
		{"db", "move", "--from", "sqlite://" + in("rosey.db"), "--to", "sqlite://" + in("moved.db")},
		{"import", writePython(t), "--drop-older", "--channel", "movies", "--database", in("made/rosey.db")},
	} {
		expectCall(t, exit.Clean, "", arguments...)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %s", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
}
