package legacy

import (
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
var retainedTables = []retainedTable{
	{store.PruneChat, "recent_chat", "timestamp", ""},
	{store.PruneUserCounts, "user_count_history", "timestamp", ""},
	{store.PrunePeople, "user_stats", "last_seen", "username"},
}

type retainedTable struct {
	kind        store.RowKind
	table, time string
	// user is the column with the user. All rows of one user are kept by the newest of them.
	user string
}

// Retained returns for each table with a retention which of its rows it would remove at now. An import of rows that
// maintenance removes later would be a loss that nobody notices.
func (s *Source) Retained(ctx context.Context, retention store.Retention, now time.Time) ([]*Retained, error) {
	before := map[store.RowKind]time.Time{}
	for _, rule := range retention.Rules(now) {
		before[rule.Kind] = rule.Before
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
		rows, err := s.timesOf(ctx, one)
		if err != nil {
			return nil, err
		}
		for _, times := range rows {
			table.add(times)
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// timesOf returns the times of the rows that are kept together.
func (s *Source) timesOf(ctx context.Context, table retainedTable) ([][]time.Time, error) {
	columns := []string{table.time}
	if table.user != "" {
		columns = append(columns, table.user)
	}
	var rows [][]time.Time
	users := map[string]int{} // index in rows
	err := s.each(ctx, table.table, "1", columns, func(r row) error {
		at, ok := r.past(table.time)
		if !ok {
			return nil
		}
		if table.user != "" {
			user := store.Fold(r.text(table.user))
			if i, known := users[user]; known {
				rows[i] = append(rows[i], at)
				return nil
			}
			users[user] = len(rows)
		}
		rows = append(rows, []time.Time{at})
		return nil
	})
	return rows, err
}

// add counts rows that are kept by the newest of them.
func (t *Retained) add(rows []time.Time) {
	newest := rows[0]
	for _, at := range rows {
		if at.After(newest) {
			newest = at
		}
		if t.OldestAt.IsZero() || at.Before(t.OldestAt) {
			t.OldestAt = at
		}
	}
	t.Rows += len(rows)
	end := newest.Add(t.kept)
	switch {
	case t.older(newest):
		t.Older += len(rows)
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
