package legacy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

// firstCytubeBotSchema is the schema of a nuclearace/CytubeBot of 2014, before it had versions.
const firstCytubeBotSchema = `
CREATE TABLE users (uname TEXT, blacklisted TEXT, block TEXT, PRIMARY KEY (uname));
CREATE TABLE chat (timestamp INTEGER, username TEXT, msg TEXT, channel TEXT);
CREATE TABLE videos (type TEXT, id TEXT, duration_ms INTEGER, title TEXT, flags INTEGER, PRIMARY KEY (type, id));
CREATE TABLE video_stats (type TEXT, id TEXT, uname TEXT);
CREATE TABLE user_count (timestamp INTEGER, count INTEGER, PRIMARY KEY (timestamp, count));`

// cytubeBotSchema is that of its last version. It also analyzes the tables.
const cytubeBotSchema = firstCytubeBotSchema + `
CREATE TABLE version (key TEXT, value TEXT, PRIMARY KEY (key));
INSERT INTO version VALUES ('dbversion', '1');
ALTER TABLE users ADD rank INTEGER;
ANALYZE;`

// cytubeBotForkSchema is that of airforce270/CytubeBot in a file that nuclearace/CytubeBot began.
const cytubeBotForkSchema = cytubeBotSchema + `
CREATE TABLE modules (name TEXT, enabled TEXT, PRIMARY KEY (name));
CREATE TABLE twitch_channels (id TEXT, name TEXT, monitor INTEGER DEFAULT 0, PRIMARY KEY (id));
CREATE TABLE cookies (user TEXT, count INTEGER, last_claim_timestamp INTEGER, PRIMARY KEY (user));
ALTER TABLE users ADD suspended_until_unix INTEGER DEFAULT 0;
ALTER TABLE users ADD points INTEGER DEFAULT 0;
ALTER TABLE users ADD timed_out_until_unix INTEGER DEFAULT 0;
ALTER TABLE videos ADD queued_by TEXT;
UPDATE version SET value = 5 WHERE key = 'dbversion';
INSERT INTO modules VALUES ('roulette', 'true');
INSERT INTO cookies VALUES ('Alice', 3, 1763700000);`

// cytubeBotRows are rows as both bots store them: plain text, times in milliseconds, and the channel as configured.
func cytubeBotRows() string {
	const milliseconds = evening * 1000
	return fmt.Sprintf(`
INSERT INTO chat VALUES (%[1]d + 1250, 'Alice', 'it''s <3 & "fun" (really)', 'movies'), (%[1]d, 'bob', 'hi', 'movies'),
  (%[1]d + 1250, 'Alice', 'it''s <3 & "fun" (really)', 'movies'), (%[1]d + 9000, 'ALICE', '/me waves', 'Movies'),
  (%[1]d + 9001, 'Alice', 'elsewhere', 'music'), (%[1]d + 9002, 'carol', 'hi', 'movies');
INSERT INTO users (uname, blacklisted, block) VALUES ('Alice', 'false', 'false'), ('bob', 'true', '1'),
  ('lurker', 'false', 'false'), ('ALICE', 'false', 'false');
INSERT INTO user_count VALUES (%[1]d, 3), (%[1]d + 5000, 7), (%[1]d + 6000, 7), (%[1]d + 7000, 2);
INSERT OR IGNORE INTO videos (type, id, duration_ms, title, flags) VALUES ('yt', 'abc', 213000, 'Alien', 0),
  ('vi', 'x', NULL, 'Brazil', 2), ('yt', 'abc', 213000, 'Alien', 0);
INSERT INTO video_stats VALUES ('yt', 'abc', 'bob'), ('yt', 'abc', 'Alice'), ('vi', 'x', 'bob');`, milliseconds)
}

func wantCytubeBot() stored {
	return stored{
		Chat: []store.RecentLine{
			{At: at(0, 0), Username: "bob", Text: "hi"},
			{At: at(1, 250), Username: "Alice", Text: "it&#39;s &lt;3 &amp; &quot;fun&quot; &#40;really&#41;"},
			{At: at(9, 0), Username: "ALICE", Text: "/me waves"}, {At: at(9, 2), Username: "carol", Text: "hi"},
		},
		Top: []store.Chatter{{Username: "ALICE", Lines: 2}, {Username: "bob", Lines: 1}, {Username: "carol", Lines: 1}},
		Users: []store.User{
			{Username: "ALICE", FirstSeen: at(1, 250), LastSeen: at(9, 0), Lines: 2},
			{Username: "bob", FirstSeen: at(0, 0), LastSeen: at(0, 0), Lines: 1},
			{Username: "carol", FirstSeen: at(9, 2), LastSeen: at(9, 2), Lines: 1},
		},
		Maxima: store.Maxima{Connected: 7, ConnectedAt: at(5, 0)},
		Counts: []store.CountSample{
			{At: at(0, 0), Connected: 3}, {At: at(5, 0), Connected: 7}, {At: at(6, 0), Connected: 7},
			{At: at(7, 0), Connected: 2},
		},
		Actions: []store.PastAction{},
	}
}

// targets returns an empty database of each kind.
func targets(t *testing.T) map[string]store.Importer {
	t.Helper()
	postgreSQL, err := postgres.Open(t.Context(), pgtest.Use(t).URLFile(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgreSQL.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]store.Importer{"SQLite": openTarget(t), "PostgreSQL": postgreSQL}
}

func TestImportOfACytubeBot(t *testing.T) {
	t.Parallel()
	for name, target := range targets(t) {
		for _, schema := range []string{firstCytubeBotSchema, cytubeBotForkSchema} { // the fork continues the file
			path := makeSource(t, schema, cytubeBotRows())
			hash, files := fingerprint(t, path)
			tables := importFrom(t, path, target)
			same(t, name, wantCytubeBot(), read(t, target))
			if again, now := fingerprint(t, path); again != hash || now != files {
				t.Errorf("the source was changed, or there are %d files and not %d", now, files)
			}
			imported := 4
			if schema == cytubeBotForkSchema {
				imported = 0
				same(t, "cookies", map[string]int{"a game of the old bot": 1}, tables["cookies"].Skipped)
			}
			same(t, name+" chat", legacy.Table{
				Name: "chat", Rows: 6, Imported: imported, Existing: 4 - imported, Duplicates: 1,
				Skipped: map[string]int{"of another channel": 1}, Notes: map[string]int{},
			}, tables["chat"])
			same(t, name+" users", legacy.Table{
				Name: "users", Rows: 4, Imported: 3,
				Skipped: map[string]int{"without a line of chat, so it is not known when they were there": 1},
				Notes:   map[string]int{"one user under several spellings": 1},
			}, tables["users"])
			if counts := tables["user_count"]; counts.Imported != imported || counts.Existing != 4-imported {
				t.Errorf("%s: %+v", name, counts)
			}
			same(t, "films", map[string]int{"without the time when it was queued or played": 2}, tables["videos"].Skipped)
		}
		hours := must[[]store.HourCount](t)(target.ChatHours(t.Context(), movies, "alice", store.Span{}))
		same(t, name+" hours", []store.HourCount{{At: at(0, 0).Truncate(time.Hour), Lines: 2}}, hours)
	}
}

func TestSummaryOfACytubeBot(t *testing.T) {
	t.Parallel()
	source := openSource(t, makeSource(t, cytubeBotForkSchema, cytubeBotRows()))
	options := legacy.Options{Source: source, Target: openTarget(t), Channel: movies}
	summary := must[legacy.Summary](t)(legacy.Import(t.Context(), options))
	same(t, "most queued", []legacy.Queued{
		{Type: "yt", ID: "abc", Title: "Alien", Times: 2}, {Type: "vi", ID: "x", Title: "Brazil", Times: 1},
	}, summary.MostQueued)
	text := strings.Join(summary.Remarks, "\n")
	for _, want := range []string{"no play is imported", "no hours", "connections alone", "several channels"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the remarks:\n%s", want, text)
		}
	}
}

// Both bots store CyTube's time. This one stores HTML, and of that the other one only the text.
func TestALineThatThisBotStoredTooIsStoredAndCountedOnce(t *testing.T) {
	t.Parallel()
	texts := []string{
		`it&#39;s &lt;3 &amp; &quot;fun&quot; &#40;really&#41;`,
		` <a href="https://x.example/">it's</a> &lt;3 & "fun" (really)`,
	}
	for _, text := range texts {
		for name, target := range targets(t) {
			path := makeSource(t, cytubeBotSchema, cytubeBotRows())
			err := target.Apply(t.Context(), []store.Event{
				{ID: "1", Channel: movies, At: at(1, 250), Fact: store.ChatLine{Username: "alice", Text: text}},
				{ID: "2", Channel: movies, At: at(1, 251), Fact: store.ChatLine{Username: "Alice", Text: text}},
				{ID: "3", Channel: movies, At: at(1, 250), Fact: store.ChatLine{Username: "bob", Text: text}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				importFrom(t, path, target)
				content := read(t, target)
				if len(content.Chat) != 6 || fmt.Sprint(content.Top) != "[{ALICE 3} {bob 2} {carol 1}]" {
					t.Errorf("%s, %s: %d lines, counted %v", name, text, len(content.Chat), content.Top)
				}
			}
		}
	}
}

// A file that is read in many batches, beside a database that has every third line already, and more in between.
func TestImportOfManyLines(t *testing.T) {
	t.Parallel()
	const lines, step = 7000, 700 // milliseconds
	for name, target := range targets(t) {
		path := makeSource(t, cytubeBotSchema, fmt.Sprintf(`
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO chat SELECT %d + i * %d, 'user' || (i %% 7), 'line ' || i, 'movies' FROM n`, lines-1, evening*1000, step))
		var events []store.Event
		for i := 0; i < lines; i += 3 {
			own := at(0, int64(i*step))
			events = append(events,
				store.Event{ID: fmt.Sprint(i), Channel: movies, At: own, Fact: store.ChatLine{
					Username: fmt.Sprint("USER", i%7), Text: fmt.Sprint("<i>line ", i, "</i>"),
				}},
				store.Event{ID: fmt.Sprint("more", i), Channel: movies, At: own, Fact: store.ChatLine{
					Username: "eve", Text: fmt.Sprint("line ", i),
				}})
		}
		if err := target.Apply(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		own := len(events) / 2
		for _, imported := range []int{lines - own, 0} {
			chat := importFrom(t, path, target)["chat"]
			if chat.Imported != imported || chat.Existing != lines-imported {
				t.Errorf("%s: %+v, want %d imported", name, chat, imported)
			}
		}
		total := 0
		for _, user := range must[[]store.Chatter](t)(target.TopChatters(t.Context(), movies, all)) {
			total += user.Lines
		}
		if total != lines+own {
			t.Errorf("%s: %d lines are counted, want %d", name, total, lines+own)
		}
	}
}

// An import that was interrupted is completed by another one.
func TestAnInterruptedImportOfACytubeBotGoesOn(t *testing.T) {
	t.Parallel()
	path, target := makeSource(t, cytubeBotSchema, fmt.Sprintf(`
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
INSERT INTO chat SELECT %d + i, 'alice', 'line ' || i, 'movies' FROM n`, evening*1000)), openTarget(t)
	ctx, cancel := context.WithCancel(t.Context())
	options := legacy.Options{
		Source: openSource(t, path), Target: target, Channel: movies,
		Progress: func(_ string, done, _ int) {
			if done > 3000 {
				cancel()
			}
		},
	}
	if _, err := legacy.Import(ctx, options); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want an interrupted import", err)
	}
	chat := importFrom(t, path, target)["chat"]
	if chat.Existing == 0 || chat.Imported == 0 || chat.Imported+chat.Existing != 5000 {
		t.Errorf("after an interruption: %+v", chat)
	}
	top := must[[]store.Chatter](t)(target.TopChatters(t.Context(), movies, all))
	same(t, "counted", []store.Chatter{{Username: "alice", Lines: 5000}}, top)
}

func TestWhoWasForgottenDoesNotComeBackFromACytubeBot(t *testing.T) {
	t.Parallel()
	path := makeSource(t, cytubeBotForkSchema, cytubeBotRows())
	for name, target := range targets(t) {
		for range 2 {
			must[map[string]int64](t)(target.ForgetPerson(t.Context(), movies, "aLiCe", time.Now()))
			importFrom(t, path, target)
			content := read(t, target)
			same(t, name, wantCytubeBot().Users[1:], content.Users)
			if len(content.Chat) != 2 {
				t.Errorf("%s: chat %+v", name, content.Chat)
			}
		}
	}
}

// Every row that no such bot writes is left out and counted, and the others are imported.
func TestHostileRowsOfACytubeBotAreSkipped(t *testing.T) {
	t.Parallel()
	schema := strings.NewReplacer(" INTEGER", "", " TEXT", "", ", PRIMARY KEY (timestamp, count)", "").
		Replace(firstCytubeBotSchema)
	path := makeSource(t, schema, fmt.Sprintf(`
INSERT INTO chat VALUES (%[1]d, 'alice', 'kept', 'movies'), (%[1]d + 1.5, 'alice', x'6b65707400ff', NULL),
  (%[1]d + 5, 'alice' || char(0) || 'b', 'kept' || char(0), ''),
  (%[2]d, 'alice', 'seconds', 'movies'), (%[1]d * 1000, 'alice', 'microseconds', 'movies'),
  (-%[1]d, 'alice', 'negative', 'movies'), (0, 'alice', 'no time', 'movies'), (NULL, 'alice', 'NULL', 'movies'),
  ('%[1]d', 'alice', 'text', 'movies'), (x'01', 'alice', 'blob', 'movies'), (1e300, 'alice', 'huge', 'movies'),
  (9223372036854775807, 'alice', 'future', 'movies'), (-9223372036854775808, 'alice', 'past', 'movies'),
  (%[1]d, '', 'nobody', 'movies'), (%[1]d, NULL, 'NULL', 'movies'), (%[1]d, 7, 'number', 'movies'),
  (%[1]d, printf('%%.*c', 200, 'x'), 'long name', 'movies'), (%[1]d, 'alice', '', 'movies'),
  (%[1]d, 'alice', NULL, 'movies'), (%[1]d, 'alice', 7, 'movies'),
  (%[1]d, 'alice', printf('%%.*c', 70000, 'x'), 'movies'), (%[1]d, printf('%%.*c', 70000, 'x'), 'x', 'movies'),
  (%[1]d, 'alice', 'x', printf('%%.*c', 70000, 'x'));
INSERT INTO users VALUES (NULL, NULL, NULL), (x'ff', 1, 1), ('alice', 7, 7), (printf('%%.*c', 200, 'x'), '', '');
INSERT INTO user_count VALUES (%[1]d, 3), (%[1]d + 1, -1), (%[1]d + 2, NULL), (%[1]d + 3, 'many'), (%[2]d, 3),
  (%[1]d + 4, 9223372036854775807), (NULL, 3), (%[1]d + 5, 1e300);
INSERT INTO videos VALUES (NULL, x'00', 'long', printf('%%.*c', 70000, 'x'), NULL);
INSERT INTO video_stats VALUES (NULL, NULL, NULL), (printf('%%.*c', 70000, 'x'), 'x', 7), (NULL, x'00', ''),
  (7, 7, 7);`,
		evening*1000, evening))
	const badTime = "with an invalid time, or one in the future"
	for name, target := range targets(t) {
		tables := importFrom(t, path, target)
		same(t, name, []store.RecentLine{
			{At: at(0, 0), Username: "alice", Text: "kept"}, {At: at(0, 1), Username: "alice", Text: "kept\uFFFD\uFFFD"},
			{At: at(0, 5), Username: "alice\uFFFDb", Text: "kept\uFFFD"},
		}, read(t, target).Chat)
		same(t, name+" chat", map[string]int{
			badTime: 8, "with a time that is not in milliseconds": 2, "without a user name": 3,
			"with a user name that is too long": 1, "without a text": 3, "with a text of more than 64 KiB": 3,
		}, tables["chat"].Skipped)
		same(t, name+" users", map[string]int{
			"without a user name": 1, "with a user name that is too long": 1,
			"without a line of chat, so it is not known when they were there": 1,
		}, tables["users"].Skipped)
		same(t, name+" counts", map[string]int{
			badTime: 1, "with an invalid, negative or impossible number": 5, "with a time that is not in milliseconds": 1,
		}, tables["user_count"].Skipped)
	}
}

// What is older than the retention is named before, and left out. Other channels do not count.
func TestImportOfACytubeBotLeavesOutWhatIsOlder(t *testing.T) {
	t.Parallel()
	now := time.Unix(evening+1000*3600, 0)
	old, fresh := evening*1000, now.UnixMilli()-3600_000
	path := makeSource(t, cytubeBotSchema, fmt.Sprintf(`
INSERT INTO chat VALUES (%[1]d, 'alice', 'a', 'movies'), (%[1]d, 'bob', 'b', 'movies'), (%[1]d, 'eve', 'e', 'music'),
  (%[2]d, 'ALICE', 'c', 'movies'), (7, 'alice', 'no time', 'movies');
INSERT INTO users (uname) VALUES ('alice'), ('bob'), ('eve');
INSERT INTO user_count VALUES (%[1]d, 9), (%[2]d, 3);`, old, fresh))
	source, target := openSource(t, path), openTarget(t)
	retention := store.Retention{People: 100 * time.Hour}
	retained := must[[]*legacy.Retained](t)(source.Retained(t.Context(), movies, retention, now))
	var got []string
	for _, table := range retained {
		got = append(got, fmt.Sprint(table.Table, " ", table.Key, " ", table.Older, "/", table.Rows))
	}
	same(t, "older", []string{
		"chat database.retention.chat 2/3", "user_count database.retention.userCounts 1/2",
		"users database.retention.people 1/2",
	}, got)
	options := legacy.Options{Source: source, Target: target, Channel: movies, Retained: retained}
	summary := must[legacy.Summary](t)(legacy.Import(t.Context(), options))
	same(t, "skipped users", map[string]int{
		"older than database.retention.people, which is 100h":             1,
		"without a line of chat, so it is not known when they were there": 1,
	}, summary.Tables[1].Skipped)
	content := read(t, target)
	same(t, "users", []store.Chatter{{Username: "ALICE", Lines: 2}}, content.Top)
	if len(content.Chat) != 1 || len(content.Counts) != 1 || content.Maxima.Connected != 9 {
		t.Errorf("stored: %+v", content)
	}
}

func TestCheckChannel(t *testing.T) {
	t.Parallel()
	path := makeSource(t, cytubeBotSchema, cytubeBotRows())
	source := openSource(t, path)
	for name, want := range map[string]string{
		"MUSIC": "", "Movies": "",
		"movienight": `has no line of chat of the channel "movienight": expected one of its channels, which are ` +
			`"movies" (4 lines), "Movies" (1 lines), "music" (1 lines)`,
	} {
		err := source.CheckChannel(t.Context(), store.Channel{Server: movies.Server, Name: name})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, other := range []string{
		makeSource(t, cytubeBotSchema), makeSource(t, synchronousSchema, rows()),
		makeSource(t, cytubeBotSchema, "INSERT INTO chat VALUES (1, 'a', 'b', NULL)"),
	} {
		if err := openSource(t, other).CheckChannel(t.Context(), movies); err != nil {
			t.Errorf("a file that does not say it: %v", err)
		}
	}
}

// A damaged file is refused before anything of it is stored.
func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	path := makeSource(t, cytubeBotSchema, fmt.Sprintf(`
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
INSERT INTO chat SELECT %d + i, 'alice', 'line ' || i, 'movies' FROM n`, evening*1000))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := len(content) / 2 / 4096 * 4096
	for i := page; i < page+4096; i++ {
		content[i] = 0x55
	}
	for name, damaged := range map[string][]byte{
		"overwritten": content, "cut": content[:len(content)/3], "one page": content[:4096],
	} {
		file := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := legacy.Open(t.Context(), file)
		if err == nil {
			_ = source.Close()
		}
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}

// What another bot's file says about users replaces what was known of the first one, and no line counts as this bot's.
func TestFilesOfTwoBots(t *testing.T) {
	t.Parallel()
	cytubeBot := makeSource(t, cytubeBotSchema, fmt.Sprintf(
		`INSERT INTO chat VALUES (%d, 'alice', 'hi', 'movies')`, evening*1000+250))
	python := makeSource(t, synchronousSchema, fmt.Sprintf(`
INSERT INTO recent_chat (timestamp, username, message) VALUES (%[1]d, 'alice', 'hi'), (%[1]d, 'alice', 'hi');
INSERT INTO user_stats VALUES ('alice', %[1]d, %[1]d, 8, 0, NULL)`, evening))
	for name, target := range targets(t) {
		for _, each := range []struct {
			file  string
			lines int
		}{{python, 4}, {cytubeBot, 1}, {python, 4}, {cytubeBot, 1}} {
			importFrom(t, each.file, target)
			same(t, name, []store.Chatter{{Username: "alice", Lines: each.lines}}, read(t, target).Top)
		}
		if lines := read(t, target).Chat; len(lines) != 2 {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}
