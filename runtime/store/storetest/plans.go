package storetest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// Plan returns the lines of the plan for a statement.
type Plan func(db relational.Database, statement string, arguments []any) ([]string, error)

// Plans tests that each statement of store.Queries uses an index in a database of 100,000 lines, and reads no large
// table from end to end. The database must be empty. plan returns the plan of a statement.
func Plans(t *testing.T, db relational.Database, plan Plan) {
	t.Helper()
	fillLarge(t, db)
	recorded := &recorder{Database: db}
	s := relational.New(recorded)
	for _, query := range planned {
		recorded.statements = nil
		if err := query.ask(t.Context(), s); err != nil {
			t.Errorf("%s: %v", query.name, err)
		}
		var all []string
		for _, one := range recorded.statements {
			found, err := plan(db, one.text, one.arguments)
			if err != nil {
				t.Fatalf("%s: the plan of %s: %v", query.name, one.text, err)
			}
			all = append(all, found...)
			checkPlan(t, query.name, found, query.sorts || isOfWatches.MatchString(one.text))
		}
		for index := range strings.FieldsSeq(query.indexes) {
			if whole := strings.Join(all, "\n"); !strings.Contains(whole, index) {
				t.Errorf("%s does not use %s:\n%s", query.name, index, whole)
			}
		}
	}
}

// isOfWatches matches the statement for the stays of bots, which are few rows to sort.
var isOfWatches = regexp.MustCompile(`FROM watches WHERE`)

// readsAll matches a line of a plan that reads a large table, whatever the index.
var readsAll = regexp.MustCompile(
	`(?i)(^|[^a-z])(seq scan on|scan) (chat|presence|user_counts|media|chat_hours|outbound|kv|user_actions)\b`)

func checkPlan(t *testing.T, name string, lines []string, maySort bool) {
	t.Helper()
	for _, line := range lines {
		isSort := strings.Contains(line, "TEMP B-TREE") || strings.Contains(line, "Sort Key")
		if readsAll.MatchString(line) && !strings.Contains(line, "Index") || isSort && !maySort {
			t.Errorf("%s: %s\nin the plan\n%s", name, line, strings.Join(lines, "\n"))
		}
	}
}

// planned are the queries with the indexes that they use. Those that sort have few rows left to sort.
var planned = []struct {
	name, indexes string
	sorts         bool
	ask           func(ctx context.Context, s relational.Store) error
}{
	{"chat", "chat_by_time", false, askChat(store.ChatQuery{Limit: 50})},
	{"ascending chat", "chat_by_time", false, askChat(store.ChatQuery{Limit: 50, Ascending: true})},
	{"a page of chat", "chat_by_time", false, askChat(store.ChatQuery{
		Limit: 50, After: &store.Position{At: at(500), ID: "x"}, Span: store.Span{From: at(100), To: at(900)}})},
	{"a search", "chat_by_time", false, askChat(store.ChatQuery{
		Limit: 50, Match: func(line store.RecentLine) bool { return strings.HasSuffix(line.Text, "99999") }})},
	{"users by lines", "users_by_lines", false, askUsers(store.OrderLines, true)},
	{"users by first seen", "users_by_first_seen", false, askUsers(store.OrderFirstSeen, true)},
	{"users by last seen", "users_by_last_seen", false, askUsers(store.OrderLastSeen, false)},
	{"users by name", "users", false, askUsers(store.OrderName, false)},
	{"times of users", "presence_by_user", false, func(ctx context.Context, s relational.Store) error {
		_, err := s.UserTimes(ctx, movies, store.TimesQuery{After: "user7"})
		return err
	}},
	{"watches", "watches", false, func(ctx context.Context, s relational.Store) error {
		_, err := s.Watches(ctx, movies)
		return err
	}},
	{"one user", "presence_by_user", false, func(ctx context.Context, s relational.Store) error {
		_, _, err := s.User(ctx, movies, "user7")
		return err
	}},
	{"hours of a channel", "chat_hours", true, func(ctx context.Context, s relational.Store) error {
		_, err := s.ChannelHours(ctx, movies, "user7", "user8")
		return err
	}},
	{"samples", "user_counts_by_time", true, func(ctx context.Context, s relational.Store) error {
		_, err := s.CountSteps(ctx, movies, store.Span{From: at(300), To: at(600)}, time.Minute)
		return err
	}},
	{"joins", "presence_by_time", false, func(ctx context.Context, s relational.Store) error {
		_, err := s.Joins(ctx, movies, store.Span{From: at(100), To: at(1e6)}, 100)
		return err
	}},
	{"hours", "chat_hours", false, func(ctx context.Context, s relational.Store) error {
		_, err := s.ChatHours(ctx, movies, "user7", store.Span{})
		return err
	}},
	{"plays", "media_by_time media_by_item media_by_report", false, func(ctx context.Context, s relational.Store) error {
		_, err := s.Plays(ctx, movies, store.PlayQuery{Limit: 50, Span: store.Span{From: at(0)}})
		return err
	}},
	{"outbound lines", "outbound_by_time", false, askOutbound(store.OutboundListQuery{Limit: 50})},
	{"a page of outbound lines", "outbound_by_time", false, askOutbound(store.OutboundListQuery{
		Limit: 50, After: &store.OutboundPlace{EnqueuedAt: at(500), ID: 7}})},
	{"keys", "kv", false, askKeys(store.KVQuery{Limit: 50})},
	{"a page of keys with values", "kv", false, askKeys(store.KVQuery{
		Limit: 50, After: "key7", Values: true, MaxBytes: 1000})},
	{"what plugins did", "plugin_actions_by_time", false, askPlugins(store.PluginActionQuery{})},
	{"a page of what plugins did", "plugin_actions_by_time", false, askPlugins(store.PluginActionQuery{
		After: &store.Position{At: at(500), ID: "x"}, Span: store.Span{From: at(100), To: at(900)}})},
	{"what one plugin did", "plugin_actions_by_plugin", false, askPlugins(store.PluginActionQuery{Plugin: "p7"})},
	{"a page of what one plugin did", "plugin_actions_by_plugin", false, askPlugins(store.PluginActionQuery{
		Plugin: "p7", After: &store.Position{At: at(500), ID: "x"}})},
	{"outbound lines that wait", "outbound_open", true, askOutbound(store.OutboundListQuery{
		Limit: 50, States: []store.OutboundState{store.OutboundIsWaiting}})},
}

func askChat(query store.ChatQuery) func(context.Context, relational.Store) error {
	query.MaxRead, query.MaxBytes = 50_000, 1<<20
	return func(ctx context.Context, s relational.Store) error {
		_, err := s.Chat(ctx, movies, query)
		return err
	}
}

func askUsers(order store.UserOrder, descending bool) func(context.Context, relational.Store) error {
	return func(ctx context.Context, s relational.Store) error {
		_, err := s.UserList(ctx, movies, store.UserQuery{
			Order: order, Descending: descending, Limit: 50, After: &store.UserPlace{Value: at(500).UnixMilli(), Name: "user7"},
		})
		return err
	}
}

func askPlugins(query store.PluginActionQuery) func(context.Context, relational.Store) error {
	query.Limit = 50
	return func(ctx context.Context, s relational.Store) error {
		_, err := s.PluginActions(ctx, movies, query)
		return err
	}
}

func askKeys(query store.KVQuery) func(context.Context, relational.Store) error {
	query.KVKey, query.Now = store.KVKey{Channel: movies, Plugin: "p7", Key: "key"}, at(1e6)
	return func(ctx context.Context, s relational.Store) error {
		_, _, err := s.KVList(ctx, query)
		return err
	}
}

func askOutbound(query store.OutboundListQuery) func(context.Context, relational.Store) error {
	query.Now = at(1e6)
	return func(ctx context.Context, s relational.Store) error {
		_, err := s.OutboundLines(ctx, movies, query)
		return err
	}
}

// fillLarge stores 100,000 lines of 5,000 users, as many actions, of which plugins caused a tenth, and other
// rows: the database makes them from numbers.
func fillLarge(t *testing.T, db relational.Database) {
	t.Helper()
	began := at(0).UnixMilli()
	statements := []string{
		`INSERT INTO channels (id, server_key, name_key, name) VALUES (1, 'https://cytu.be', 'movies', 'Movies')`,
		numbered(5_000, `users (channel_id, name_key, name, name_at, first_seen, last_seen, chat_lines)`,
			`1, 'user' || i, 'User' || i, %[1]d, %[1]d + i * 100, %[1]d + i * 200, i / 10`, began),
		numbered(100_000, `chat (event_id, channel_id, at, username, text)`,
			`'id' || (1000000 + i), 1, %d + i * 10, 'User' || (i * 7 %% 5000), 'this is line ' || i`, began),
		numbered(20_000, `presence (event_id, channel_id, user_key, joined, at)`,
			`'id' || (1000000 + i), 1, 'user' || (i / 2 %% 5000), i %% 2 = 0, %d + i * 50`, began),
		numbered(10_000, `user_counts (event_id, channel_id, at, chat, connected)`,
			`'id' || (1000000 + i), 1, %d + i * 100, i %% 50, i %% 70`, began),
		numbered(10_000, `media (event_id, channel_id, at, item_key, media_type, media_id, title, seconds, queued_by)`,
			`'id' || (1000000 + i), 1, %d + i * 100, 'yt/' || (i / 3), 'yt', i / 3 || '', 'title', 90, ''`, began),
		numbered(10_000, `chat_hours (channel_id, user_key, hour, lines)`, `1, 'user' || (i %% 5000), i / 5000, 1`),
		numbered(10_000, `kv (channel_id, plugin, key, value, created_at, updated_at)`,
			`1, 'p' || (i %% 20), 'key' || i, '"value"', 0, 0`),
		numbered(100_000, `user_actions (event_id, channel_id, at, username, action_type, details, plugin)`,
			`'id' || (1000000 + i), 1, %d + i * 10, 'user' || (i %% 5000), 'pm_command', 'details',
  CASE WHEN i %% 10 = 7 THEN 'p' || (i / 10 %% 20) ELSE '' END`, began),
		numbered(10_000, `outbound (channel_id, enqueued_at, text, sent_at)`,
			`1, %[1]d + i * 100, 'line', CASE WHEN i < 9900 THEN %[1]d + i * 100 END`, began),
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx relational.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err == nil {
		_, err = db.Exec(t.Context(), "ANALYZE")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// numbered returns a statement that inserts rows with the numbers i from 0 on.
func numbered(rows int, into, columns string, arguments ...any) string {
	return fmt.Sprintf(`INSERT INTO %s WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
SELECT %s FROM n`, into, rows-1, fmt.Sprintf(columns, arguments...))
}

// recorder remembers the statements that read.
type recorder struct {
	relational.Database

	statements []recordedStatement
}

type recordedStatement struct {
	text      string
	arguments []any
}

// Query implements relational.Executor.
func (r *recorder) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	r.statements = append(r.statements, recordedStatement{query, arguments})
	return r.Database.Query(ctx, query, arguments...)
}

// Read implements relational.Database.
func (r *recorder) Read(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	return r.Database.Read(ctx, func(ctx context.Context, tx relational.Tx) error {
		return work(ctx, recordingTx{tx, r})
	})
}

type recordingTx struct {
	relational.Tx

	recorder *recorder
}

// Query implements relational.Executor.
func (r recordingTx) Query(ctx context.Context, query string, arguments ...any) (relational.Rows, error) {
	r.recorder.statements = append(r.recorder.statements, recordedStatement{query, arguments})
	return r.Tx.Query(ctx, query, arguments...)
}

// FillsHours tests that a migration fills the hours from the lines that are stored as storing them does. The database
// must be empty. migration is the content of the migration's file.
func FillsHours(t *testing.T, s store.Store, db relational.Database, migration string) {
	t.Helper()
	const hour = 3600
	test := storeTest{t, s}
	line := func(n float64, user string) store.Event {
		return event(n, store.ChatLine{Username: user, Text: fmt.Sprint(n)})
	}
	test.apply(line(0, "alice"), line(1, "Alice"), line(hour, "ALICE"), line(2, "Ünal"), line(2*hour, "Ünal"))
	want := test.hours(movies, "alice", "ünal")
	if len(want["alice"]) != 2 || len(want["ünal"]) != 2 {
		t.Fatalf("hours as stored: %v", want)
	}
	_, fill, _ := strings.Cut(migration, "INSERT INTO chat_hours")
	fill, _, _ = strings.Cut(fill, ";")
	for _, statement := range []string{"DELETE FROM chat_hours", "INSERT INTO chat_hours" + fill} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	same(test, "hours as filled", want, test.hours(movies, "alice", "ünal"))
}
