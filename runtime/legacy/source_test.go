package legacy_test

import (
	"crypto/sha256"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/legacy"
)

// synchronousSchema is the schema of the Python bot with sqlite3 (up to 0.5).
const synchronousSchema = `
CREATE TABLE user_stats (username TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  total_chat_lines INTEGER DEFAULT 0, total_time_connected INTEGER DEFAULT 0, current_session_start INTEGER);
CREATE TABLE user_actions (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, username TEXT NOT NULL,
  action_type TEXT NOT NULL, details TEXT);
CREATE TABLE channel_stats (id INTEGER PRIMARY KEY CHECK (id = 1), max_users INTEGER DEFAULT 0,
  max_users_timestamp INTEGER, max_connected INTEGER DEFAULT 0, max_connected_timestamp INTEGER, last_updated INTEGER);
CREATE TABLE user_count_history (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  chat_users INTEGER NOT NULL, connected_users INTEGER NOT NULL);
CREATE TABLE recent_chat (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, username TEXT NOT NULL,
  message TEXT NOT NULL);
CREATE TABLE current_status (id INTEGER PRIMARY KEY CHECK (id = 1), bot_name TEXT, last_updated INTEGER);
CREATE TABLE outbound_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  message TEXT NOT NULL, sent INTEGER DEFAULT 0, sent_timestamp INTEGER, retry_count INTEGER DEFAULT 0,
  last_error TEXT);
CREATE TABLE api_tokens (token TEXT PRIMARY KEY, description TEXT, created_at INTEGER NOT NULL, last_used INTEGER,
  revoked INTEGER DEFAULT 0);
INSERT INTO current_status (id) VALUES (1);`

// ormSchema is the schema of the Python bot with SQLAlchemy (0.6 and later).
const ormSchema = `
CREATE TABLE user_stats (username VARCHAR(50) PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  total_chat_lines INTEGER NOT NULL CHECK (total_chat_lines >= 0),
  total_time_connected INTEGER NOT NULL CHECK (total_time_connected >= 0), current_session_start INTEGER);
CREATE TABLE user_actions (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  username VARCHAR(50) NOT NULL, action_type VARCHAR(50) NOT NULL, details TEXT);
CREATE TABLE channel_stats (id INTEGER PRIMARY KEY CHECK (id = 1), max_users INTEGER NOT NULL CHECK (max_users >= 0),
  max_users_timestamp INTEGER, max_connected INTEGER, max_connected_timestamp INTEGER, last_updated INTEGER NOT NULL);
CREATE TABLE user_count_history (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  chat_users INTEGER NOT NULL, connected_users INTEGER NOT NULL CHECK (connected_users >= chat_users));
CREATE TABLE recent_chat (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  username VARCHAR(50) NOT NULL, message TEXT NOT NULL);
CREATE TABLE current_status (id INTEGER PRIMARY KEY, status VARCHAR(20), bot_name VARCHAR(50), bot_rank INTEGER);
CREATE TABLE outbound_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
  message TEXT NOT NULL, sent BOOLEAN NOT NULL, sent_timestamp INTEGER, retry_count INTEGER NOT NULL,
  error_message TEXT);
CREATE TABLE api_tokens (id INTEGER PRIMARY KEY, token VARCHAR(255) UNIQUE, name TEXT, is_active BOOLEAN);
CREATE TABLE plugin_kv_storage (plugin_name VARCHAR(100), key VARCHAR(255), value_json TEXT NOT NULL,
  expires_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (plugin_name, key));
CREATE TABLE plugin_table_schemas (id INTEGER PRIMARY KEY, plugin_name TEXT, table_name TEXT, schema_json TEXT);
CREATE TABLE "quote-db_quotes" (id INTEGER PRIMARY KEY, quote TEXT);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO alembic_version VALUES ('346370c653a3');`

// makeSource creates a file like those of the Python bot.
func makeSource(t *testing.T, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "bot data?.db")
	fill(t, path, statements...)
	return path
}

func fill(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(strings.ReplaceAll(path, "?", "%3f"), " ", "%20"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
}

func openSource(t *testing.T, path string) *legacy.Source {
	t.Helper()
	source, err := legacy.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

// fingerprint returns the hash of a file and the number of files in its directory.
func fingerprint(t *testing.T, path string) (hash [32]byte, files int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content), len(entries)
}

func TestPrograms(t *testing.T) {
	older := strings.NewReplacer("retry_count INTEGER DEFAULT 0,", "", "last_error TEXT", "x TEXT",
		"max_connected INTEGER DEFAULT 0, max_connected_timestamp INTEGER,", "").Replace(synchronousSchema)
	for schema, want := range map[string]legacy.Program{
		synchronousSchema: legacy.PythonSynchronous, older: legacy.PythonSynchronous, ormSchema: legacy.PythonORM,
		cytubeBotSchema: legacy.CytubeBot, firstCytubeBotSchema: legacy.CytubeBot,
		cytubeBotForkSchema: legacy.CytubeBotFork,
	} {
		if got := openSource(t, makeSource(t, schema)).Program; got != want {
			t.Errorf("recognized as %q, want %q", got, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database at all\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	withoutCounts := strings.Replace(cytubeBotSchema, "user_count", "x", 1)
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "absent.db"): "no such file",
		t.TempDir():                             "expected the SQLite file of a bot",
		text:                                    "not a database",
		makeSource(t, "CREATE TABLE films (a)"): "not the database of a Python Rosey: it has no table channel_stats",
		makeSource(t, strings.Replace(synchronousSchema, "total_chat_lines", "lines", 1)): "table user_stats has no column " +
			"total_chat_lines",
		makeSource(t, "CREATE TABLE films (a); CREATE TABLE chat (timestamp, username)"): "nor that of a CytubeBot: table " +
			`chat has no column msg; it has the tables "chat", "films"`,
		makeSource(t, withoutCounts):                                                           "no table user_count",
		makeSource(t, "CREATE TABLE x (a); DROP TABLE x"):                                      "it has no tables",
		makeSource(t, "CREATE TABLE store (uuid); CREATE TABLE goose_db_version (version_id)"): "rosey db restore",
	} {
		source, err := legacy.Open(t.Context(), path)
		if err == nil {
			_ = source.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
