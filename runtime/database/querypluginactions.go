package database

import (
	"context"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// pluginActionsQuery is bus.PluginActionsRequest as clients send it.
type pluginActionsQuery struct {
	span
	page
	Plugin text `json:"plugin"`
	origin
}

func (q pluginActionsQuery) check() error {
	err := firstError(q.span.check(), q.page.check())
	if err == nil && q.Plugin != "" && !bus.IsPluginName(string(q.Plugin)) {
		return &fieldError{"plugin", fmt.Sprintf("the name of a plugin, 1 to %d lower-case letters and digits",
			bus.MaxPluginName)}
	}
	return err
}

func (pluginActionsQuery) cost() queryCost { return readsLittle }

// pluginActions answers bus.QueryPluginActions.
func (e *Engine) pluginActions(
	ctx context.Context, channel store.Channel, request pluginActionsQuery, in queryInput,
) (any, error) {
	rows, err := e.store.PluginActions(ctx, channel, store.PluginActionQuery{
		Span: request.times(), Plugin: string(request.Plugin), After: request.Cursor.position(), Limit: request.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	result := bus.PluginActionsReply{Success: true, Items: []bus.PluginActionItem{}}
	for _, row := range rows[:min(len(rows), request.limit())] {
		result.Items = append(result.Items, pluginActionItem(row))
	}
	result.Items = result.Items[:fits(result.Items, in.maxBytes)]
	if shown := len(result.Items); shown < len(rows) {
		last := rows[shown-1]
		result.Next = placeOf(last.At, last.ID).encode()
	}
	return result, nil
}

func pluginActionItem(row store.PluginActionRow) bus.PluginActionItem {
	item := bus.PluginActionItem{
		AtMS: row.At.UnixMilli(), Plugin: row.Plugin, Did: row.Did, Call: row.Call, Asker: row.Username, Args: row.Args,
		Said: row.Said, Problem: row.Problem,
	}
	if strings.ContainsRune(row.Username, ' ') { // bus.PMCommandPayload: the plugin did it by itself
		item.Asker = ""
	}
	return item
}
