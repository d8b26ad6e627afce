package database

import (
	"context"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// outboundQuery is bus.OutboundListRequest as clients send it.
type outboundQuery struct {
	page
	States []bus.OutboundState `json:"states"`
	origin
}

// outboundStates are the states by which outbound lines can be selected. They are those of the store.
var outboundStates = []bus.OutboundState{
	bus.OutboundWaits, bus.OutboundClaimed, bus.OutboundSaid, bus.OutboundAbandoned, bus.OutboundCancelled,
}

var expectedStates = "a list of " + oneOf(outboundStates)

func (q outboundQuery) check() error {
	for _, state := range q.States {
		if !slices.Contains(outboundStates, state) {
			return &fieldError{"states", expectedStates}
		}
	}
	return q.page.check()
}

func (outboundQuery) cost() queryCost { return readsLittle }

// outbound answers bus.QueryOutbound.
func (e *Engine) outbound(
	ctx context.Context, channel store.Channel, request outboundQuery, in queryInput,
) (any, error) {
	query := store.OutboundListQuery{Now: in.now, Limit: request.limit() + 1}
	for _, state := range request.States {
		query.States = append(query.States, store.OutboundState(state))
	}
	if request.Cursor.set {
		query.After = &store.OutboundPlace{EnqueuedAt: time.UnixMilli(request.Cursor.At), ID: request.Cursor.Value}
	}
	rows, err := e.store.OutboundLines(ctx, channel, query)
	if err != nil {
		return nil, err
	}
	result := bus.OutboundListReply{Success: true, Items: []bus.OutboundItem{}}
	for _, row := range rows[:min(len(rows), request.limit())] {
		item := bus.OutboundItem{
			ID: row.ID, State: bus.OutboundState(row.State), QueuedMS: row.EnqueuedAt.UnixMilli(), Message: row.Text,
			Asker: row.Asker, RetryCount: row.RetryCount, LastError: row.LastError,
		}
		if !row.ChangedAt.IsZero() {
			item.ChangedMS = row.ChangedAt.UnixMilli()
		}
		result.Items = append(result.Items, item)
	}
	result.Items = result.Items[:fits(result.Items, in.maxBytes)]
	if shown := len(result.Items); shown < len(rows) {
		last := rows[shown-1]
		result.Next = place{At: last.EnqueuedAt.UnixMilli(), Value: last.ID}.encode()
	}
	return result, nil
}
