package legacy_test

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/store"
)

// What is older than the retention is left out, and yet counted for the users whom it is about. A user is kept by the
// newest of all spellings.
func TestImportLeavesOutWhatIsOlder(t *testing.T) {
	now := time.Unix(evening+1000*3600, 0)
	old, fresh := evening, now.Unix()-3600
	path := makeSource(t, synchronousSchema, fmt.Sprintf(`
INSERT INTO user_stats VALUES ('alice', %[1]d, %[1]d, 4, 0, NULL), ('ALICE', %[1]d, %[2]d, 2, 0, NULL),
  ('bob', %[1]d, %[1]d, 2, 0, NULL);
INSERT INTO recent_chat (timestamp, username, message) VALUES (%[1]d, 'alice', 'a'), (%[1]d + 1, 'alice', 'a'),
  (%[1]d, 'bob', 'b'), (%[1]d, 'bob', 'b'), (%[2]d, 'ALICE', 'c'), (%[2]d, 'ALICE', 'c');
INSERT INTO user_count_history (timestamp, chat_users, connected_users) VALUES (%[1]d, 2, 3), (%[2]d, 3, 3);`,
		old, fresh))
	source := openSource(t, path)
	retention := store.Retention{People: 100 * time.Hour}
	retained := must[[]*legacy.Retained](t)(source.Retained(t.Context(), movies, retention, now))
	type counted struct {
		key, kept   string
		rows, older int
		until       time.Time
	}
	var got []counted
	for _, table := range retained {
		got = append(got, counted{table.Key, table.Kept, table.Rows, table.Older, table.RemovedUntil})
	}
	end := func(hours int64) time.Time { return time.Unix(fresh+hours*3600, 0).UTC() }
	want := []counted{
		{"database.retention.chat", "150h", 6, 4, end(150)},
		{"database.retention.userCounts", "720h", 2, 1, end(720)},
		{"database.retention.people", "100h", 3, 1, end(100)},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	target := openTarget(t)
	options := legacy.Options{Source: source, Target: target, Channel: movies, Retained: retained}
	must[legacy.Summary](t)(legacy.Import(t.Context(), options))
	content := read(t, target)
	if len(content.Chat) != 1 || len(content.Counts) != 1 {
		t.Errorf("stored: %+v", content)
	}
	same(t, "users", []store.Chatter{{Username: "ALICE", Lines: 3}}, content.Top)
}
