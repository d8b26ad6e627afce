package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

// pythonFile creates the tables of a Python Rosey that an import reads.
const pythonFile = `
CREATE TABLE user_stats (username TEXT PRIMARY KEY, first_seen INTEGER, last_seen INTEGER, total_chat_lines INTEGER,
  total_time_connected INTEGER, current_session_start INTEGER);
CREATE TABLE user_actions (id INTEGER PRIMARY KEY, timestamp INTEGER, username TEXT, action_type TEXT, details TEXT);
CREATE TABLE channel_stats (id INTEGER PRIMARY KEY, max_users INTEGER, max_users_timestamp INTEGER);
CREATE TABLE user_count_history (id INTEGER PRIMARY KEY, timestamp INTEGER, chat_users INTEGER,
  connected_users INTEGER);
CREATE TABLE recent_chat (id INTEGER PRIMARY KEY, timestamp INTEGER, username TEXT, message TEXT);
CREATE TABLE outbound_messages (id INTEGER PRIMARY KEY, timestamp INTEGER, message TEXT, sent INTEGER);
CREATE TABLE api_tokens (token TEXT);
INSERT INTO api_tokens VALUES ('verysecret');
INSERT INTO user_stats VALUES ('alice', 1763700000, 1763700001, 8, 3600, NULL);
INSERT INTO recent_chat VALUES (1, 1763700001, 'alice', 'hi'), (2, 1763700001, 'alice', 'hi');`

// writePython writes the file of a Python Rosey.
func writePython(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bot_data.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), pythonFile); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImportCommand(t *testing.T) {
	dir, file := t.TempDir(), writePython(t)
	database := filepath.Join(dir, "new", "rosey.db")
	flags := []string{"--channel", "Movies", "--database", database}
	expectCall(t, exitUsage, "channel.name", "import", file)
	expectCall(t, exitFailure, "absent.db", append([]string{"import", filepath.Join(dir, "absent.db")}, flags...)...)
	for _, imported := range []string{"1", "0"} {
		text := expectCall(t, exitClean, "importing "+file, append([]string{"import", file}, flags...)...)
		var chat []string
		for line := range strings.Lines(text) {
			if fields := strings.Fields(line); len(fields) > 5 && fields[0] == "recent_chat" {
				chat = fields
			}
		}
		if len(chat) != 6 || chat[1] != "2" || chat[2] != imported || chat[4] != "1" {
			t.Errorf("%s imported lines of chat are not in the summary:\n%s", imported, text)
		}
		if !strings.Contains(text, "api_tokens") || strings.Contains(text, "verysecret") {
			t.Errorf("the summary on tokens:\n%s", text)
		}
	}
	expectCall(t, exitClean, `"duplicates": 1`, append([]string{"import", file, "-o", "json"}, flags...)...)
	content := expectCall(t, exitClean, "alice", append([]string{"db", "show"}, flags...)...)
	if !strings.Contains(content, "alice  4 ") || !strings.Contains(content, "1h0m0s") {
		t.Errorf("stored:\n%s", content)
	}
	expectCall(t, exitFailure, "rosey db restore", append([]string{"import", database}, flags...)...)
}
