package legacy_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

var movies = store.Channel{Server: "https://cytu.be", Name: "Movies"}

const all = 1 << 30

// evening is the time of the rows, in Unix seconds.
const evening = 1763700000

func at(second int64, milliseconds int64) time.Time {
	return time.UnixMilli((evening+second)*1000 + milliseconds).UTC()
}

func openTarget(t *testing.T) *sqlite.Store {
	t.Helper()
	target, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rosey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	})
	return target
}

func importFrom(t *testing.T, path string, target store.Importer) map[string]legacy.Table {
	t.Helper()
	source, err := legacy.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := legacy.Import(t.Context(), legacy.Options{Source: source, Target: target, Channel: movies})
	if err := errors.Join(err, source.Close()); err != nil {
		t.Fatal(err)
	}
	tables := map[string]legacy.Table{}
	for _, table := range summary.Tables {
		skipped := 0
		for _, rows := range table.Skipped {
			skipped += rows
		}
		if sum := table.Imported + table.Existing + table.Duplicates + skipped; sum != table.Rows {
			t.Errorf("table %s: %d of %d rows are accounted for: %+v", table.Name, sum, table.Rows, *table)
		}
		tables[table.Name] = *table
	}
	return tables
}

// stored is everything that an import may change.
type stored struct {
	Chat    []store.RecentLine
	Top     []store.Chatter
	Users   []store.User
	Maxima  store.Maxima
	Counts  []store.CountSample
	Actions []store.PastAction
	Waiting []string
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func read(t *testing.T, s store.Store) (content stored) {
	t.Helper()
	ctx := t.Context()
	content = stored{
		Chat:    must[[]store.RecentLine](t)(s.RecentChat(ctx, movies, all)),
		Top:     must[[]store.Chatter](t)(s.TopChatters(ctx, movies, all)),
		Users:   must[[]store.User](t)(s.Users(ctx, movies)),
		Maxima:  must[store.Maxima](t)(s.HighWater(ctx, movies)),
		Counts:  must[[]store.CountSample](t)(s.UserCounts(ctx, movies, all)),
		Actions: must[[]store.PastAction](t)(s.Actions(ctx, movies, all)),
	}
	query := store.OutboundQuery{Limit: all, MaxRetries: all, Now: time.Now()}
	for _, message := range must[[]store.OutboundMessage](t)(s.Outbound(ctx, movies, query)) {
		content.Waiting = append(content.Waiting, message.Text)
	}
	return content
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// rows returns statements for rows of both generations.
func rows() string {
	return fmt.Sprintf(`
INSERT INTO user_stats VALUES ('alice', %[1]d - 1000, %[1]d + 100, 40, 3600, NULL), ('Alice', %[1]d, %[1]d + 300, 2, 60,
  %[1]d + 290), ('bob', %[1]d, %[1]d + 50, 0, 7, NULL), ('', %[1]d, %[1]d, 0, 0, NULL), ('zed', 0, 0, 0, 0, NULL);
INSERT INTO recent_chat (timestamp, username, message) VALUES (%[1]d + 1, 'alice', 'z'), (%[1]d + 1, 'alice', 'z'),
  (%[1]d + 1, 'bob', 'a'), (%[1]d + 1, 'bob', 'a'), (%[1]d + 2, 'alice', 'z'), (%[1]d + 3, 'alice', 'z'),
  (%[1]d + 9, '', 'nobody'), (%[1]d + 10, 'carol', '<b>hi</b>'), (%[1]d + 11, 'carol', '<b>hi</b>'),
  (99999999999, 'alice', 'from the future'), (99999999999, 'alice', 'from the future');
INSERT INTO channel_stats VALUES (1, 12, %[1]d + 5, 30, %[1]d + 7, %[1]d + 7);
INSERT INTO user_count_history (timestamp, chat_users, connected_users) VALUES (%[1]d, 2, 3), (%[1]d + 300, 3, 3);
INSERT INTO user_actions (timestamp, username, action_type, details) VALUES (%[1]d, 'bob', 'pm_command', 'cmd=say'),
  (%[1]d, 'bob', 'pm_command', 'cmd=say'), (%[1]d + 1, 'bob', 'pm_command', NULL),
  (%[1]d + 2, 'bob', 'pm_command', NULL);
INSERT INTO outbound_messages (timestamp, message, sent, retry_count) VALUES (%[1]d, 'said', 1, 0),
  (%[1]d, 'old', 0, 0),  (%[2]d, 'fresh', 0, 0), (%[2]d, 'hopeless', 0, 3),
  (%[2]d, '/kick alice', 0, 0);`, evening, time.Now().Unix()-60)
}

func wantStored() stored {
	return stored{
		Chat: []store.RecentLine{
			{At: at(1, 0), Username: "alice", Text: "z"}, {At: at(1, 1), Username: "bob", Text: "a"},
			{At: at(2, 0), Username: "alice", Text: "z"}, {At: at(10, 0), Username: "carol", Text: "<b>hi</b>"},
		},
		Top: []store.Chatter{{Username: "Alice", Lines: 21}, {Username: "bob", Lines: 1}, {Username: "carol", Lines: 1}},
		Users: []store.User{
			{
				Username: "Alice", FirstSeen: at(-1000, 0), LastSeen: at(300, 0), Lines: 21,
				Connected: 3600*time.Second + 60*time.Second + 10*time.Second,
			},
			{Username: "bob", FirstSeen: at(0, 0), LastSeen: at(50, 0), Lines: 1, Connected: 7 * time.Second},
			{Username: "carol", FirstSeen: at(10, 0), LastSeen: at(10, 0), Lines: 1},
		},
		Maxima: store.Maxima{Chat: 12, ChatAt: at(5, 0), Connected: 30, ConnectedAt: at(7, 0)},
		Counts: []store.CountSample{{At: at(0, 0), Chat: 2, Connected: 3}, {At: at(300, 0), Chat: 3, Connected: 3}},
		Actions: []store.PastAction{
			{At: at(0, 0), Action: store.Action{Username: "bob", Type: "pm_command", Details: "cmd=say"}},
			{At: at(1, 0), Action: store.Action{Username: "bob", Type: "pm_command"}},
		},
		Waiting: []string{"fresh"},
	}
}

func TestImport(t *testing.T) {
	for name, schema := range map[string]string{"sqlite3": synchronousSchema, "SQLAlchemy": ormSchema} {
		t.Run(name, func(t *testing.T) {
			path, target := makeSource(t, schema, rows()), openTarget(t)
			hash, files := fingerprint(t, path)
			first := importFrom(t, path, target)
			same(t, "after the import", wantStored(), read(t, target))
			chat := first["recent_chat"]
			if chat.Imported != 4 || chat.Duplicates != 4 || len(chat.Skipped) != 2 {
				t.Errorf("chat: %+v", chat)
			}
			same(t, "users' notes", map[string]int{
				"one user under several spellings": 1, "an open session, counted until last seen": 1,
				"lines counted twice, subtracted": 21,
			}, first["user_stats"].Notes)
			second := importFrom(t, path, target)
			same(t, "after a second import", wantStored(), read(t, target))
			for _, table := range []string{"recent_chat", "user_count_history", "user_actions"} {
				if second[table].Imported != 0 || second[table].Existing != first[table].Imported {
					t.Errorf("second import of %s: %+v", table, second[table])
				}
			}
			if again, now := fingerprint(t, path); again != hash || now != files {
				t.Errorf("the source was changed, or there are %d files and not %d", now, files)
			}
		})
	}
}

func TestImportKeyValue(t *testing.T) {
	soon := time.Now().Add(time.Hour).Unix()
	path, target := makeSource(t, ormSchema, fmt.Sprintf(`
INSERT INTO plugin_kv_storage VALUES ('dice', 'best', '{"n": 6}', NULL, %[1]d, %[1]d),
  ('dice', 'gone', '1', %[1]d, 1, 1), ('dice', 'soon', '"x"', %[2]d, 1, 1),
  ('dice', 'bad', '{', NULL, 1, 1), ('dice', 'mine', '1', NULL, 1, 1), ('plugin/dice', 'best', '7', NULL, 1, 1);
INSERT INTO "quote-db_quotes" (quote) VALUES ('a'), ('b');
INSERT INTO api_tokens (token) VALUES ('secret');`, evening, soon)), openTarget(t)
	key := func(name string) store.KVKey { return store.KVKey{Channel: movies, Plugin: "dice", Key: name} }
	mine := store.KVEntry{KVKey: key("mine"), Value: "2", At: time.Now()}
	if _, err := target.KVSet(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	tables := importFrom(t, path, target)
	got := map[string]string{}
	for _, name := range []string{"best", "gone", "soon", "bad", "mine"} {
		value, exists, err := target.KVGet(t.Context(), key(name), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if exists {
			got[name] = value.Value
		}
	}
	same(t, "values", map[string]string{"best": `{"n": 6}`, "soon": `"x"`, "mine": "2"}, got)
	if _, exists, err := target.KVGet(t.Context(), key("soon"), time.Unix(soon, 0)); exists || err != nil {
		t.Errorf("does not expire: %v, %v", exists, err)
	}
	own := store.KVKey{Channel: movies, Plugin: store.SubjectPlugin("dice"), Key: "best"}
	if _, exists, err := target.KVGet(t.Context(), own, time.Now()); exists || err != nil {
		t.Errorf("a key of a plugin with subjects of its own: %v, %v", exists, err)
	}
	for _, table := range []string{"quote-db_quotes", "api_tokens"} {
		if len(tables[table].Skipped) != 1 {
			t.Errorf("table %s is not skipped: %+v", table, tables[table])
		}
	}
}

// This program's bot was in the channel at the same time: its rows stay, and lines that both counted count once.
func TestImportIntoOwnRows(t *testing.T) {
	path, target := makeSource(t, synchronousSchema, rows()), openTarget(t)
	for i, event := range []store.Event{
		{At: at(1, 345), Fact: store.ChatLine{Username: "alice", Text: "z"}}, // the Python bot's line of second 1
		{At: at(400, 0), Fact: store.ChatLine{Username: "alice", Text: "z"}}, // too late to be a line of the Python bot
		{At: at(380, 0), Fact: store.UserJoined{Username: "alice"}},
		{At: at(390, 0), Fact: store.HighWater{Chat: 20, Connected: new(5)}},
	} {
		event.ID, event.Channel = fmt.Sprint(i), movies
		if err := target.Apply(t.Context(), []store.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if here := importFrom(t, path, target)["recent_chat"].Existing; here == 0 {
			t.Error("no line was recognized as existing")
		}
		got := read(t, target)
		if len(got.Chat) != 5 || got.Users[0].Lines != 22 {
			t.Errorf("%d lines are stored and %d counted, want 5 and 22", len(got.Chat), got.Users[0].Lines)
		}
		want := wantStored().Users[0].Connected + 20*time.Second
		if user := got.Users[0]; user.Connected != want || !user.FirstSeen.Equal(at(-1000, 0)) {
			t.Errorf("alice: %+v, want %v connected", user, want)
		}
		same(t, "records", store.Maxima{Chat: 20, ChatAt: at(390, 0), Connected: 30, ConnectedAt: at(7, 0)}, got.Maxima)
	}
	// After pruning, no rows prove any more what both counted.
	if _, err := target.Prune(t.Context(), store.PruneRule{Kind: store.PruneChat, Before: time.Now()}, all); err != nil {
		t.Fatal(err)
	}
	importFrom(t, path, target)
	// They come back, since they are to be kept longer now, and are counted as before.
	if got := read(t, target); len(got.Chat) != 4 || got.Users[0].Lines != 22 {
		t.Errorf("after pruning and a third import: %d lines, %d counted", len(got.Chat), got.Users[0].Lines)
	}
}

// After a first import the Python bot continues and removes its oldest lines; then it is imported again.
func TestImportAgain(t *testing.T) {
	path, target := makeSource(t, synchronousSchema, rows()), openTarget(t)
	importFrom(t, path, target)
	fill(t, path, fmt.Sprintf(`
DELETE FROM recent_chat WHERE timestamp = %[1]d + 1;
INSERT INTO recent_chat (timestamp, username, message) VALUES (%[1]d + 500, 'bob', 'new'), (%[1]d + 500, 'bob', 'new');
UPDATE user_stats SET total_chat_lines = 12, total_time_connected = 1007,
  last_seen = %[1]d + 500 WHERE username = 'bob';
UPDATE channel_stats SET max_users = 13, max_users_timestamp = %[1]d + 500;`, evening))
	importFrom(t, path, target)
	got := read(t, target)
	want := store.User{
		Username: "bob", FirstSeen: at(0, 0), LastSeen: at(500, 0), Lines: 6, Connected: 1007 * time.Second,
	}
	same(t, "bob", want, got.Users[1])
	if len(got.Chat) != 5 || got.Maxima.Chat != 13 {
		t.Errorf("%d lines and a record of %d, want 5 and 13", len(got.Chat), got.Maxima.Chat)
	}
}

// Rows were skipped whose names are within the limit that the owner has set for the database service.
func TestNamesWithinTheConfiguredLimitAreImported(t *testing.T) {
	long := strings.Repeat("u", 200)
	path := makeSource(t, synchronousSchema,
		fmt.Sprintf("INSERT INTO user_stats VALUES ('%s', %[2]d, %[2]d, 1, 0, NULL)", long, evening),
		fmt.Sprintf("INSERT INTO user_stats VALUES ('%sx', %[2]d, %[2]d, 1, 0, NULL)", long, evening))
	source := must[*legacy.Source](t)(legacy.Open(t.Context(), path))
	target := openTarget(t)
	summary, err := legacy.Import(t.Context(), legacy.Options{
		Source: source, Target: target, Channel: movies, Limits: config.Limits{NameBytes: 200},
	})
	if err := errors.Join(err, source.Close()); err != nil {
		t.Fatal(err)
	}
	users := read(t, target).Users
	if len(users) != 1 || users[0].Username != long {
		t.Errorf("%d users, want the one with 200 bytes: %+v", len(users), summary.Tables)
	}
}

// The service refuses events about users of such names, and a page with them cannot be read.
func TestNoUserWithAnEndlessNameIsImported(t *testing.T) {
	long := strings.Repeat("u", 5000)
	path := makeSource(t, synchronousSchema,
		fmt.Sprintf("INSERT INTO recent_chat (timestamp, username, message) VALUES (%[1]d, '%[2]s', 'a'), (%[1]d, 'al', 'b')",
			evening, long),
		fmt.Sprintf("INSERT INTO user_actions (timestamp, username, action_type) VALUES (%d, '%s', 'x')", evening, long),
		fmt.Sprintf("INSERT INTO user_stats VALUES ('%s', %[2]d, %[2]d, 1, 0, NULL)", long, evening))
	target := openTarget(t)
	tables := importFrom(t, path, target)
	for _, table := range []string{"recent_chat", "user_actions", "user_stats"} {
		same(t, table, map[string]int{"with a user name that is too long": 1}, tables[table].Skipped)
	}
	content := read(t, target)
	if len(content.Chat) != 1 || content.Chat[0].Username != "al" || len(content.Users) != 1 || len(content.Actions) != 0 {
		t.Errorf("stored: %d lines, %d users, %d actions", len(content.Chat), len(content.Users), len(content.Actions))
	}
}

// A record stays for ever, and a time that does not fit into 64 bits of nanoseconds was imported as a negative one.
func TestNoImpossibleNumberIsImported(t *testing.T) {
	const huge = 2_000_000_000_000
	path := makeSource(t, synchronousSchema,
		fmt.Sprintf("INSERT INTO user_stats VALUES ('al', %[1]d, %[1]d, %[2]d, 0, NULL), "+
			"('bo', %[1]d, %[1]d, 1, %[2]d, NULL), ('cy', %[1]d, %[1]d, 7, 3155760, NULL)", evening, huge),
		fmt.Sprintf("INSERT INTO user_count_history (timestamp, chat_users, connected_users) VALUES (%d, 1, %d)",
			evening, huge),
		fmt.Sprintf("INSERT INTO channel_stats VALUES (1, %[2]d, %[1]d, %[2]d, %[1]d, %[1]d)", evening, huge))
	target := openTarget(t)
	tables := importFrom(t, path, target)
	for table, rows := range map[string]int{"user_stats": 2, "user_count_history": 1, "channel_stats": 1} {
		same(t, table, map[string]int{"with an invalid, negative or impossible number": rows}, tables[table].Skipped)
	}
	content := read(t, target)
	if len(content.Users) != 1 || content.Users[0].Lines != 7 || len(content.Counts) != 0 {
		t.Errorf("stored: %+v, %+v", content.Users, content.Counts)
	}
	same(t, "maxima", store.Maxima{}, content.Maxima)
}
