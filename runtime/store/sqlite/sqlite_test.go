package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

var line = store.Event{
	ID: "1", Channel: store.Channel{Server: "https://cytu.be", Name: "movies"}, At: time.UnixMilli(1763700000123).UTC(),
	Fact: store.ChatLine{Username: "alice", Text: "hi"},
}

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, path, query string) {
	t.Helper()
	db := openAny(t, path)
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// openAny opens or creates a database file, which need not be one of this program.
func openAny(t *testing.T, path string) *sql.DB {
	t.Helper()
	if err := createDatabase(path); err != nil {
		t.Fatal(err)
	}
	db, err := openPool(dataSource(path, writing))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// The path has characters with a meaning in URLs.
func TestOpenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20e.db")
	for range 2 {
		s := mustOpen(t, path)
		if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
			t.Fatal(err)
		}
		got, err := s.RecentChat(t.Context(), line.Channel, 10)
		if err != nil {
			t.Fatal(err)
		}
		want := []store.RecentLine{{At: line.At, Username: "alice", Text: "hi"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		mustClose(t, s)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// PostgreSQL has never stored such a name. Ten of them would not fit into a reply.
func TestNameFromBeforeThereWereLimits(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	long := line
	long.Fact = store.ChatLine{Username: strings.Repeat("x", 1<<20), Text: "hi"}
	if err := s.Apply(t.Context(), []store.Event{long}); err != nil {
		t.Fatal(err)
	}
	top, err := s.TopChatters(t.Context(), line.Channel, 10)
	if err != nil || len(top) != 1 || len(top[0].Username) > config.MaxTextBytes {
		t.Errorf("%d chatters, %v", len(top), err)
	}
}

func TestOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	first := mustOpen(t, path)
	_, err := Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), path+".lock is locked by process ") {
		t.Errorf("second open: %v, want an error that names the lock and its holder", err)
	}
	mustClose(t, first)
	mustClose(t, mustOpen(t, path))
}

func TestOpenReadOnlyBesideTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	writer := mustOpen(t, path)
	defer mustClose(t, writer)
	reader, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, reader)
	if err := writer.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	got, err := reader.RecentChat(t.Context(), line.Channel, 10)
	if err != nil || len(got) != 1 {
		t.Errorf("the reader sees %v, %v", got, err)
	}
	for name, write := range map[string]func() error{
		"Apply": func() error { return reader.Apply(t.Context(), []store.Event{line}) },
		"AddDeadLetters": func() error {
			letters := []store.DeadLetter{store.NewDeadLetter("s", "", "", nil, line.At)}
			_, err := reader.AddDeadLetters(t.Context(), letters, store.DeadLetterQuota{})
			return err
		},
		"DropDeadLetter": func() error {
			_, err := reader.DropDeadLetter(t.Context(), 1)
			return err
		},
		"Enqueue": func() error {
			_, err := reader.Enqueue(t.Context(), line.Channel, store.OutboundLine{Text: "hi", At: line.At})
			return err
		},
		"KVSet": func() error {
			_, err := reader.KVSet(t.Context(), store.KVEntry{KVKey: store.KVKey{Channel: line.Channel}})
			return err
		},
		"Optimize": func() error { return reader.Optimize(t.Context()) },
		"Prune": func() error {
			_, err := reader.Prune(t.Context(), store.PruneRule{Kind: store.PruneChat}, 1)
			return err
		},
	} {
		if err := write(); err == nil || errors.Is(err, store.ErrRejected) {
			t.Errorf("%s through the reader: %v, want an error", name, err)
		}
	}
}

func TestOpenReadOnlyWithoutADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.db")
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("OpenReadOnly created a file")
	}
	execute(t, path, "CREATE TABLE other (x)")
	if _, err := OpenReadOnly(t.Context(), path); err == nil || !strings.Contains(err.Error(), "tables other") {
		t.Errorf("another program's database: %v", err)
	}
}

func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	mustClose(t, mustOpen(t, path))
	execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	_, err := Open(t.Context(), path)
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 999") {
		t.Errorf("opening for writing: %v, want ErrNewerSchema and the version", err)
	}
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("opening for reading: %v, want ErrNewerSchema", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), filepath.Join(dir, "absent", "rosey.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent directory: %v", err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first attempt must release the lock
		_, err := Open(t.Context(), garbage)
		if err == nil || !strings.Contains(err.Error(), "not a database") || !strings.Contains(err.Error(), garbage) {
			t.Errorf("not a database: %v", err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	// SQLite reports a database that may not grow as a full disk.
	if _, err := s.db.write.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	large := line
	large.Fact = store.ChatLine{Username: "alice", Text: strings.Repeat("x", 1<<20)}
	letters := []store.DeadLetter{{Payload: []byte(strings.Repeat("x", 1<<20))}}
	_, lettersErr := s.AddDeadLetters(t.Context(), letters, store.DeadLetterQuota{})
	for what, err := range map[string]error{
		"Apply": s.Apply(t.Context(), []store.Event{large}), "AddDeadLetters": lettersErr,
	} {
		if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrRejected) {
			t.Errorf("%s: %v, want ErrFull", what, err)
		}
	}
}

const killedPath = "ROSEY_TEST_KILLED_DATABASE"

// After a process was killed, the rows that it applied must be stored and the lock must be free.
func TestAppliedRowsSurviveAKill(t *testing.T) {
	if path := os.Getenv(killedPath); path != "" {
		if err := mustOpen(t, path).Apply(t.Context(), []store.Event{line}); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	path := filepath.Join(t.TempDir(), "rosey.db")
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAppliedRowsSurviveAKill$")
	program.Env = append(os.Environ(), killedPath+"="+path)
	if output, err := program.CombinedOutput(); program.ProcessState.ExitCode() != -1 {
		t.Fatalf("the other process was not killed: %v\n%s", err, output)
	}
	s := mustOpen(t, path)
	defer mustClose(t, s)
	got, err := s.RecentChat(t.Context(), line.Channel, 10)
	if err != nil || len(got) != 1 {
		t.Errorf("after the kill: %v, %v", got, err)
	}
}

func TestQueriesUseTheirIndexes(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	for index, end := range map[string]string{
		"chat_by_time":     "chat WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
		"users_by_lines":   "users WHERE channel_id = 1 AND chat_lines > 0 ORDER BY chat_lines DESC, name_key",
		"presence_by_user": "presence WHERE channel_id = 1 AND user_key = 'a' ORDER BY at DESC, event_id DESC LIMIT 5",
		"outbound_open":    "outbound WHERE channel_id = 1 AND sent_at IS NULL AND abandoned_at IS NULL",
		"outbound_done": `outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
 AND coalesce(sent_at, abandoned_at) < 5`,
		"user_counts_by_time":     "user_counts WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
		"(channel_id=? AND at<?)": "user_counts WHERE channel_id IN (SELECT id FROM channels) AND at < 5 LIMIT 5",
		"kv_by_expiry":            "kv WHERE expires_at <= 5",
		"dead_letters_by_time":    "dead_letters WHERE at < 5",
		"user_actions_by_time":    "user_actions WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
	} {
		query := "SELECT * FROM " + end
		plan := explain(t, s.db.read, query)
		if !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nhas the plan %s\nwant index %s and no sorting", query, plan, index)
		}
	}
}

func explain(t *testing.T, db *sql.DB, query string) (plan string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "; "
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
