package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// $5 and $6 are the action after which the list begins.
const (
	pluginActionsSQL = `SELECT event_id, at, username, plugin, call_id, did, args, said, problem FROM user_actions
WHERE channel_id = ` + channelID + ` AND at >= $3 AND at < $4 AND (at, event_id) < ($5, $6)`
	// The conditions on plugin are those of the indexes: plugin_actions_by_time and plugin_actions_by_plugin.
	ofAllPlugins     = ` AND (plugin <> '') = TRUE`
	ofOnePlugin      = ` AND plugin <> '' AND plugin = $8`
	pluginActionsEnd = ` ORDER BY at DESC, event_id DESC LIMIT $7`
)

// PluginActions implements store.Queries.
func (s Store) PluginActions(
	ctx context.Context, channel store.Channel, query store.PluginActionQuery,
) ([]store.PluginActionRow, error) {
	from, to := bounds(query.Span)
	after := beginning(query.Span, false)
	if query.After != nil {
		after = *query.After
		to = min(to, after.At.UnixMilli()+1) // as in chatReader.read
	}
	condition := ofAllPlugins
	arguments := channelArguments(channel, from, to, after.At.UnixMilli(), after.ID, max(query.Limit, 0))
	if query.Plugin != "" {
		condition = ofOnePlugin
		arguments = append(arguments, query.Plugin)
	}
	statement := pluginActionsSQL + condition + pluginActionsEnd
	rows, err := Select(ctx, s.db, statement, arguments, func(row *store.PluginActionRow) []any {
		return []any{&row.ID, millis{&row.At}, &row.Username, &row.Plugin, &row.Call, &row.Did, &row.Args, &row.Said,
			&row.Problem}
	})
	if err != nil {
		return nil, fmt.Errorf("listing what plugins did: %w", err)
	}
	return rows, nil
}
