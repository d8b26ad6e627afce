package sqlite

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/store"
)

// rowsOfVersion1 are rows of the first version of the schema.
const rowsOfVersion1 = `
INSERT INTO channels (id, server_key, name_key, name) VALUES (1, 'https://cytu.be', 'movies', 'Movies');
INSERT INTO users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines)
  VALUES (1, 'alice', 'alice', 1763700000123, 1763700000000, 1763700000123, 1);
INSERT INTO chat (event_id, channel_id, at, username, text) VALUES ('1', 1, 1763700000123, 'alice', 'hi');
INSERT INTO outbound (channel_id, enqueued_at, text, sent_at) VALUES (1, 1763700000000, 'sent', 1763700000001);
INSERT INTO outbound (channel_id, enqueued_at, text, retry_count, last_error) VALUES (1, 1763700000000, 'm', 1, 'e');
INSERT INTO outbound (channel_id, enqueued_at, text) VALUES (1, 1763700000000, '/kick alice');`

func TestMigrationFromTheFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	createVersion(t, path, 1)
	execute(t, path, rowsOfVersion1)
	if _, err := OpenReadOnly(t.Context(), path); err == nil {
		t.Error("opened for reading before its schema is up to date")
	}
	for range 2 {
		s := mustOpen(t, path)
		if err := s.Apply(t.Context(), []store.Event{line}); err != nil { // is already stored
			t.Fatal(err)
		}
		user, _, err := s.User(t.Context(), line.Channel, "Alice")
		if err != nil || user.Lines != 1 {
			t.Errorf("user: %+v, %v; want one line", user, err)
		}
		waiting, err := s.Outbound(t.Context(), line.Channel, store.OutboundQuery{
			Limit: 9, MaxRetries: 3, Now: time.UnixMilli(1763700120000), Claimant: "a",
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []store.OutboundMessage{{
			ID: 2, EnqueuedAt: time.UnixMilli(1763700000000).UTC(), Text: "m", RetryCount: 1, LastError: "e",
		}}
		if diff := cmp.Diff(want, waiting); diff != "" {
			t.Error(diff)
		}
		mustClose(t, s)
	}
}

// A plugin that has stored more than a quota allows would otherwise count from zero.
func TestMigrationCountsKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	createVersion(t, path, 6)
	execute(t, path, rowsOfVersion1+`
INSERT INTO kv (channel_id, plugin, key, value, created_at, updated_at) VALUES
  (1, 'p', 'a', '"ü"', 0, 0), (1, 'p', 'b', '1', 0, 0), (1, 'q', 'a', '1', 0, 0);`)
	s := mustOpen(t, path)
	defer mustClose(t, s)
	for range 2 {
		usage, err := s.Usage(t.Context(), []store.Channel{line.Channel}, "")
		if err != nil {
			t.Fatal(err)
		}
		want := []store.PluginUsage{{Plugin: "p", Keys: 2, Bytes: 209}, {Plugin: "q", Keys: 1, Bytes: 103}}
		if diff := cmp.Diff(want, usage.Channels[0].Plugins); diff != "" {
			t.Error(diff)
		}
		if err := s.RecountKV(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rosey.db")
	createVersion(t, path, 1)
	execute(t, path, "CREATE TABLE kv (somebody_elses TEXT)")
	if _, err := Open(t.Context(), path); !errors.Is(err, store.ErrMigration) || !strings.Contains(err.Error(), "kv") {
		t.Errorf("with a table of the same name: %v, want ErrMigration and the table's name", err)
	}
	execute(t, path, "DROP TABLE kv")
	mustClose(t, mustOpen(t, path))
}

// createVersion creates a database with the schema of an earlier version.
func createVersion(t *testing.T, path string, version int64) {
	t.Helper()
	db := openAny(t, path)
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.GetDBVersion(t.Context()); err != nil { // creates the table of the migrations
		t.Fatal(err)
	}
	if version == 0 {
		return
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}
