package legacy

import (
	"cmp"
	"context"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// Retained says how long the rows of one table will be kept after an import.
type Retained struct {
	Table string `json:"table"`
	// Key is the setting of the retention, and Kept its value.
	Key  string `json:"key"`
	Kept string `json:"kept"`
	// Rows are the rows with a valid time, and Older those of them that are older than what is kept.
	Rows  int `json:"rows"`
	Older int `json:"older"`
	// Bytes is about what the rows that are not older count for config.Limits.ChannelBytes, 0 for users.
	Bytes int64 `json:"bytes"`
	// OldestAt is the time of the oldest row, zero without rows.
	OldestAt time.Time `json:"oldestAt,omitzero"`
	// RemovedFrom and RemovedUntil are when the rows will be removed that are not older. Zero: never.
	RemovedFrom  time.Time `json:"removedFrom,omitzero"`
	RemovedUntil time.Time `json:"removedUntil,omitzero"`

	kept   time.Duration // 0: forever
	before time.Time     // rows from before are older; zero: none is
}

// retainedTables are the tables whose rows have a retention. Outbound lines are imported if they are still to be
// said; until then they are kept.
var (
	pythonRetained = []retainedTable{
		{kind: store.PruneChat, table: "recent_chat", time: "timestamp", text: "message", past: row.past},
		{kind: store.PruneUserCounts, table: "user_count_history", time: "timestamp", past: row.past},
		{kind: store.PrunePeople, table: "user_stats", time: "last_seen", user: "username", past: row.past},
	}
	// When somebody was seen is known from what they wrote.
	cytubeBotRetained = []retainedTable{
		{kind: store.PruneChat, table: "chat", time: "timestamp", text: "msg", channel: "channel", past: isPastMillis},
		{kind: store.PruneUserCounts, table: "user_count", time: "timestamp", past: isPastMillis},
		{kind: store.PrunePeople, table: "users", from: "chat", time: "timestamp", user: "username", channel: "channel",
			past: isPastMillis},
	}
)

func isPastMillis(r row, column string) (time.Time, bool) {
	at, problem := r.pastMillis(column)
	return at, problem == ""
}

type retainedTable struct {
	kind store.RowKind
	// table is the one that is imported, and from the one that has the times, if that is another one with several rows
	// for one of it.
	table, from string
	time        string
	past        func(r row, column string) (time.Time, bool)
	// user is the column with the user. All rows of one user are kept by the newest of them.
	user string
	// text is the column with a text of any length.
	text string
	// channel is the column with the channel. Empty: all rows are of one.
	channel string
}

// rowBytes is about what a row counts in addition to its text: names, the ID of the event twice, and the overhead.
const rowBytes = config.RowOverhead + 130

// Retained returns for each table with a retention which of its rows it would remove at now. An import of rows that
// maintenance removes later would be a loss that nobody notices.
func (s *Source) Retained(
	ctx context.Context, channel store.Channel, retention store.Retention, now time.Time,
) ([]*Retained, error) {
	before := map[store.RowKind]time.Time{}
	for _, rule := range retention.Rules(now) {
		before[rule.Kind] = rule.Before
	}
	retainedTables := pythonRetained
	if s.Program.isCytubeBot() {
		retainedTables = cytubeBotRetained
	}
	tables := make([]*Retained, 0, len(retainedTables))
	for _, one := range retainedTables {
		table := &Retained{
			Table: one.table, Key: one.kind.RetentionKey(), Kept: string(config.Forever), before: before[one.kind],
		}
		if !table.before.IsZero() {
			table.kept = now.Sub(table.before)
			table.Kept = store.FormatRetention(table.kept)
		}
		if err := s.addTimes(ctx, one, channel, table); err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// addTimes adds the times of the rows of a table.
func (s *Source) addTimes(
	ctx context.Context, table retainedTable, channel store.Channel, retained *Retained,
) error {
	columns := []string{table.time}
	for _, column := range []string{table.user, table.text, table.channel} {
		if column != "" {
			columns = append(columns, column)
		}
	}
	users := map[string]*userTimes{}
	err := s.each(ctx, cmp.Or(table.from, table.table), "", columns, func(r row) error {
		at, ok := table.past(r, table.time)
		switch {
		case !ok, table.channel != "" && !inChannel(r, table.channel, channel):
			return nil
		case table.user == "":
			retained.add(1, at, at)
			if retained.older(at) {
				return nil
			}
			if retained.Bytes += rowBytes; table.text != "" {
				retained.Bytes += int64(len(r.text(table.text)))
			}
			return nil
		}
		name := store.Fold(r.text(table.user))
		if users[name] == nil {
			users[name] = &userTimes{oldest: at, newest: at}
		}
		users[name].add(at)
		return nil
	})
	if err != nil {
		return err
	}
	for _, user := range users {
		if table.from != "" {
			user.rows, user.oldest = 1, user.newest
		}
		retained.add(user.rows, user.oldest, user.newest)
	}
	return nil
}

// userTimes are the times of the rows of a user.
type userTimes struct {
	rows           int
	oldest, newest time.Time
}

func (u *userTimes) add(at time.Time) {
	u.rows++
	if at.Before(u.oldest) {
		u.oldest = at
	}
	if at.After(u.newest) {
		u.newest = at
	}
}

// add counts rows that are kept by the newest of them.
func (t *Retained) add(rows int, oldest, newest time.Time) {
	if t.OldestAt.IsZero() || oldest.Before(t.OldestAt) {
		t.OldestAt = oldest
	}
	t.Rows += rows
	end := newest.Add(t.kept)
	switch {
	case t.older(newest):
		t.Older += rows
		return
	case t.kept == 0:
		return
	case t.RemovedFrom.IsZero() || end.Before(t.RemovedFrom):
		t.RemovedFrom = end
	}
	if end.After(t.RemovedUntil) {
		t.RemovedUntil = end
	}
}

// older reports whether a row of a time is older than what is kept.
func (t *Retained) older(at time.Time) bool { return at.Before(t.before) }
