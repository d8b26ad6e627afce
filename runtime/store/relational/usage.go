package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// channelRows are the tables that store.ChannelUsage.Rows counts, and the columns of text of each. An event ID is in
// the table and in its index.
var channelRows = []struct {
	table Table
	texts []string
}{
	{chatTable, []string{"username", "text", "event_id", "event_id"}},
	{presenceTable, []string{"user_key", "event_id", "event_id"}},
	{watchesTable, nil},
	{userCountsTable, []string{"event_id", "event_id"}},
	{actionsTable, []string{"username", "action_type", "details", "event_id", "event_id", "plugin", "call_id", "did",
		"args", "said", "problem"}},
	{mediaTable, []string{"item_key", "media_type", "media_id", "title", "queued_by", "event_id", "event_id"}},
	{hoursTable, []string{"user_key"}},
	{outboundTable, []string{"text", "last_error", "client_id", "client_id", "asker"}},
}

// Usage implements store.Store. Each table is read by itself: a transaction would keep the database from removing what
// others replace meanwhile.
func (s Store) Usage(ctx context.Context, channels []store.Channel, prefix string) (usage store.Usage, err error) {
	for _, channel := range channels {
		used := store.ChannelUsage{Channel: channel}
		id, found, err := selectOne(ctx, s.db, `SELECT id FROM channels WHERE server_key = $1 AND name_key = $2`,
			channelArguments(channel), scanValue[int64])
		if err == nil && found {
			err = s.measureChannel(ctx, id, &used)
			usage.Channels = append(usage.Channels, used)
		}
		if err != nil {
			return store.Usage{}, fmt.Errorf("measuring what is stored: %w", err)
		}
	}
	const deadLetters = `FROM dead_letters WHERE prefix = $1`
	usage.DeadLetters, usage.DeadLetterBytes, err = s.sum(ctx, deadLetters, deadLetterSize, prefix)
	if err != nil {
		return store.Usage{}, fmt.Errorf("measuring dead letters: %w", err)
	}
	return usage, nil
}

func (s Store) measureChannel(ctx context.Context, id int64, used *store.ChannelUsage) error {
	for _, each := range channelRows {
		rows, bytes, err := s.sum(ctx, `FROM `+each.table.Name+` WHERE channel_id = $1`, size(each.texts...), id)
		if err != nil {
			return err
		}
		used.Rows += rows
		used.Bytes += bytes
	}
	var err error
	for _, each := range []struct {
		count *int64
		from  string
	}{
		{&used.People, `FROM users WHERE channel_id = $1`},
		{&used.OutboundWaiting, `FROM outbound WHERE channel_id = $1 AND sent_at IS NULL AND abandoned_at IS NULL`},
	} {
		if *each.count, _, err = s.sum(ctx, each.from, `0`, id); err != nil {
			return err
		}
	}
	used.Plugins, err = Select(ctx, s.db, `SELECT plugin, keys, bytes FROM kv_usage WHERE channel_id = $1 ORDER BY plugin`,
		[]any{id}, func(row *store.PluginUsage) []any { return []any{&row.Plugin, &row.Keys, &row.Bytes} })
	return err
}

// sum returns the number of rows and the sum of an expression.
func (s Store) sum(ctx context.Context, from, expression string, arguments ...any) (rows, sum int64, err error) {
	query := `SELECT count(*), CAST(coalesce(sum(` + expression + `), 0) AS BIGINT) ` + from
	type total struct{ rows, sum int64 }
	found, _, err := selectOne(ctx, s.db, query, arguments, func(row *total) []any { return []any{&row.rows, &row.sum} })
	return found.rows, found.sum, err
}
