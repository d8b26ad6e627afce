package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	mustOpen(t, pgtest.WriteURL(t, database))
	conn := rawConn(t, server, name(t, database))
	// The server reads and sorts small tables instead of using an index.
	run(t, conn, "SET enable_seqscan = off")
	run(t, conn, "SET enable_bitmapscan = off")
	run(t, conn, "SET enable_sort = off")
	for index, end := range map[string]string{
		"chat_by_time":     "chat WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
		"users_by_lines":   "users WHERE channel_id = 1 AND chat_lines > 0 ORDER BY chat_lines DESC, name_key LIMIT 5",
		"presence_by_user": "presence WHERE channel_id = 1 AND user_key = 'a' ORDER BY at DESC, event_id DESC LIMIT 5",
		"outbound_open":    "outbound WHERE channel_id = 1 AND sent_at IS NULL AND abandoned_at IS NULL",
		"outbound_done": `outbound WHERE (sent_at IS NOT NULL OR abandoned_at IS NOT NULL)
 AND coalesce(sent_at, abandoned_at) < 5`,
		"user_counts_by_time":  "user_counts WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
		"kv_by_expiry":         "kv WHERE expires_at <= 5",
		"dead_letters_by_time": "dead_letters WHERE at < 5",
		"user_actions_by_time": "user_actions WHERE channel_id = 1 ORDER BY at DESC, event_id DESC LIMIT 5",
	} {
		rows, err := conn.Query(t.Context(), "EXPLAIN SELECT * FROM "+end)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(plan, index+" on") || strings.Contains(plan, "Sort") {
			t.Errorf("%s\nhas the plan %s, %v\nwant index %s and no sorting", end, plan, err, index)
		}
	}
}
