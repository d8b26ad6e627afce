package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/exit"
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
	execute(t, file, pythonFile)
	return file
}

func execute(t *testing.T, file, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestImportCommand(t *testing.T) {
	dir, file := t.TempDir(), writePython(t)
	database := filepath.Join(dir, "new", "rosey.db")
	where := []string{"--channel", "Movies", "--database", database}
	flags := append(where, "--database-retention-chat", "forever")
	expectCall(t, exit.Usage, "channel.name", "import", file)
	expectCall(t, exit.Failure, "absent.db", append([]string{"import", filepath.Join(dir, "absent.db")}, flags...)...)
	for _, imported := range []string{"1", "0"} {
		text := expectCall(t, exit.Clean, "importing "+file, append([]string{"import", file}, flags...)...)
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
	expectCall(t, exit.Clean, `"duplicates": 1`, append([]string{"import", file, "-o", "json"}, flags...)...)
	content := expectCall(t, exit.Clean, "alice", append([]string{"db", "show"}, where...)...)
	if !strings.Contains(content, "alice  4 ") || !strings.Contains(content, "1h0m0s") {
		t.Errorf("stored:\n%s", content)
	}
	expectCall(t, exit.Failure, "rosey db restore", append([]string{"import", database}, flags...)...)
}

// cytubeBotFile creates the tables of a CytubeBot, as its statements fill them.
const cytubeBotFile = `
CREATE TABLE users (uname TEXT, blacklisted TEXT, block TEXT, rank INTEGER, PRIMARY KEY (uname));
CREATE TABLE chat (timestamp INTEGER, username TEXT, msg TEXT, channel TEXT);
CREATE TABLE videos (type TEXT, id TEXT, duration_ms INTEGER, title TEXT, flags INTEGER, PRIMARY KEY (type, id));
CREATE TABLE video_stats (type TEXT, id TEXT, uname TEXT);
CREATE TABLE user_count (timestamp INTEGER, count INTEGER, PRIMARY KEY (timestamp, count));
CREATE TABLE version (key TEXT, value TEXT, PRIMARY KEY (key));
INSERT INTO users VALUES ('alice', 'false', 'false', 1);
INSERT INTO chat VALUES (1763700001234, 'alice', 'a < b', 'movies'), (1763700001235, 'eve', 'hi', 'music');
INSERT INTO user_count VALUES (1763700001000, 9);
INSERT INTO videos VALUES ('yt', 'abc', 213000, 'Alien', 0);
INSERT INTO video_stats VALUES ('yt', 'abc', 'alice'), ('yt', 'abc', 'alice');`

// writeCytubeBot writes the file of a CytubeBot.
func writeCytubeBot(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cytubebot.db")
	execute(t, file, cytubeBotFile)
	return file
}

func TestImportCommandWithACytubeBot(t *testing.T) {
	file, database := writeCytubeBot(t), filepath.Join(t.TempDir(), "new", "rosey.db")
	const forever = "forever"
	flags := []string{"import", file, "--database", database, "--database-retention-chat", forever}
	expectCall(t, exit.Failure, `nothing was imported: `+file+` has no line of chat of the channel "other"`,
		append(flags, "--channel", "other")...)
	flags = append(flags, "--channel", "Movies")
	expectCall(t, exit.Failure, "user_count: 1 of 1 rows are older than database.retention.userCounts", flags...)
	if _, err := os.Stat(filepath.Dir(database)); !os.IsNotExist(err) {
		t.Errorf("a database was made though nothing was imported: %v", err)
	}
	flags = append(flags, "--database-retention-user-counts", forever)
	for range 2 {
		text := expectCall(t, exit.Clean, "made by nuclearace/CytubeBot, into channel Movies", flags...)
		for _, want := range []string{
			"of another channel", "2      yt    abc  Alien", "without the time when it was queued", "no play is imported",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
	}
	expectCall(t, exit.Clean, `"program": "nuclearace/CytubeBot"`, append(flags, "-o", "json")...)
	where := []string{"--channel", "Movies", "--database", database}
	expectCall(t, exit.Clean, "alice  1 ", append([]string{"db", "show"}, where...)...)
	expectCall(t, exit.Failure, "that of a CytubeBot", "db", "show", "--channel", "Movies", "--database", file)
}

// A database that is full after an import would not store what happens in the channel.
func TestImportStopsBeforeALimitIsReached(t *testing.T) {
	file, database := writeCytubeBot(t), filepath.Join(t.TempDir(), "new", "rosey.db")
	execute(t, file, `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO chat SELECT 1763700001234 + i, 'user' || (i % 1001), printf('%.*c', 100, 'x'), 'movies' FROM n`)
	flags := []string{"import", file, "--channel", "movies", "--database", database}
	forever := []string{"--database-retention-chat", "forever", "--database-retention-user-counts", "forever"}
	with := func(more ...string) []string { return slices.Concat(flags, forever, more) }
	for key, want := range map[string]string{
		"channel-rows":  "database.limits.channelRows is 10000, and the file has about 10003 to be kept",
		"channel-bytes": "database.limits.channelBytes is 1048576, and the file has about 33",
		"people":        "database.limits.people is 1000, and the file has about 1002 to be kept",
	} {
		least := map[string]string{"channel-rows": "10000", "channel-bytes": "1048576", "people": "1000"}[key]
		expectCall(t, exit.Failure, want, with("--database-limits-"+key, least)...)
	}
	if _, err := os.Stat(filepath.Dir(database)); !os.IsNotExist(err) {
		t.Errorf("a database was made though nothing was imported: %v", err)
	}
	expectCall(t, exit.Clean, "10003  10002", with()...)
	expectCall(t, exit.Clean, "none", append(flags, "--drop-older", "--database-limits-channel-rows", "10000")...)
}

// What the retention would remove minutes after the import is not imported without a word: nothing is, unless the
// retention is raised or these rows are left out.
func TestImportStopsBeforeWhatTheRetentionRemoves(t *testing.T) {
	file, database := writePython(t), filepath.Join(t.TempDir(), "new", "rosey.db")
	statements := fmt.Sprintf(`INSERT INTO user_count_history (timestamp, chat_users, connected_users)
VALUES (1700000000, 2, 3), (1763700000, 2, 3), (%d, 4, 5)`, time.Now().Unix()-3600)
	execute(t, file, statements)
	flags := []string{"import", file, "--channel", "Movies", "--database", database}
	with := func(more ...string) []string { return append(slices.Clone(flags), more...) }
	const chat, counts = "--database-retention-chat", "--database-retention-user-counts"
	_, _, stderr := call(t, flags...)
	for _, want := range []string{
		"nothing was imported", "recent_chat: 2 of 2 rows are older than database.retention.chat, which is 150h",
		"user_count_history: 2 of 3 rows are older than database.retention.userCounts, which is 720h; " +
			"the oldest is of 2023-11-14", "--drop-older", "forever",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not in:\n%s", want, stderr)
		}
	}
	expectCall(t, exit.Failure, "user_count_history: 1 of 3", with(chat, "forever", counts, "9600h")...)
	if _, err := os.Stat(filepath.Dir(database)); !os.IsNotExist(err) {
		t.Errorf("a database was made though nothing was imported: %v", err)
	}
	text := expectCall(t, exit.Clean, "recent_chat", with("--drop-older")...)
	for _, want := range []string{
		"2     older than database.retention.userCounts, which is 720h", "database.retention.people: forever",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	expectCall(t, exit.Clean, "alice  4", "db", "show", "--channel", "Movies", "--database", database)
	text = expectCall(t, exit.Clean, "never", with(chat, "forever", counts, "forever")...)
	if strings.Contains(text, "older than") {
		t.Errorf("rows were left out:\n%s", text)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	where := []string{"--channel", "Movies", "--database", database}
	expectCall(t, exit.Clean, "copied", append([]string{"db", "backup", backup}, where...)...)
	// It is said before the backup is copied.
	text = expectCall(t, exit.Clean, "2 samples of the number of users are older than database.retention.userCounts, "+
		"which is 720h", append([]string{"db", "restore", backup}, where...)...)
	if strings.Index(text, "older than") > strings.Index(text, "restored ") {
		t.Errorf("said after the restore:\n%s", text)
	}
	restored := expectCall(t, exit.Clean, "restored", append([]string{
		"db", "restore", backup, chat, "forever", counts, "forever"}, where...)...)
	if strings.Contains(restored, "older than") {
		t.Errorf("kept forever, and yet:\n%s", restored)
	}
	moved := "sqlite://" + filepath.Join(t.TempDir(), "moved.db")
	move := []string{"db", "move", "--from", "sqlite://" + database, "--to", moved}
	_, _, progress := call(t, move...)
	said := strings.Index(progress, "1 lines of chat are older than database.retention.chat")
	if copied := strings.Index(progress, "user_counts: "); said < 0 || copied < said {
		t.Errorf("not said before the move:\n%s", progress)
	}
	_, _, progress = call(t, append(move, append(where[:2:2], chat, "forever", counts, "9000h")...)...)
	if strings.Contains(progress, "lines of chat are") || !strings.Contains(progress, "userCounts, which is 9000h") {
		t.Errorf("the configured retention does not count:\n%s", progress)
	}
	expectCall(t, exit.Usage, "channel.name", append(move, chat, "forever")...)
	expectCall(t, exit.Usage, "absent.yaml", append(move, "--config", "absent.yaml")...)
}
