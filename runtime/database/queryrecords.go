package database

import (
	"context"
	"errors"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// maxCountsSpan is the longest range of a request for the number of users.
const maxCountsSpan = 366 * day

// usualCountsSpan is a range that is read at once. A longer one waits for its turn.
const usualCountsSpan = 31 * day

// userCountsQuery is bus.UserCountsRequest as clients send it.
type userCountsQuery struct {
	span
	Points number `json:"points"`
	Joins  bool   `json:"joins"`
	origin
}

func (q userCountsQuery) check() error {
	if q.Points != 0 && (q.Points < 2 || q.Points > bus.MaxCountPoints) {
		return &fieldError{"points", expectedPoints}
	}
	return q.span.check()
}

func (q userCountsQuery) cost() queryCost {
	to := q.To.Time
	if q.To.IsZero() {
		to = time.Now()
	}
	if !q.From.IsZero() && to.Sub(q.From.Time) > usualCountsSpan {
		return readsMuch
	}
	return readsLittle
}

// userCounts answers bus.QueryUserCounts.
func (e *Engine) userCounts(
	ctx context.Context, channel store.Channel, request userCountsQuery, reply queryReply,
) (any, error) {
	times, err := request.within(reply.now, day, maxCountsSpan)
	if err != nil {
		return nil, err
	}
	points := time.Duration(request.Points)
	if points == 0 {
		points = bus.DefaultCountPoints
	}
	// Whole minutes, and one step less than points: the first one begins before the range.
	step := (times.To.Sub(times.From)/(points-1) + time.Minute - 1).Truncate(time.Minute)
	step = max(step, time.Minute)
	steps, err := e.store.CountSteps(ctx, channel, times, step)
	if err != nil {
		return nil, err
	}
	result := bus.UserCountsReply{
		Success: true, FromMS: times.From.UnixMilli(), ToMS: times.To.UnixMilli(), StepMS: step.Milliseconds(),
		Items: make([]bus.UserCountPoint, 0, len(steps)),
	}
	for _, one := range steps {
		average := func(sum int64) int { return int((sum + one.Samples - 1) / one.Samples) }
		result.Items = append(result.Items, bus.UserCountPoint{
			AtMS: one.At.UnixMilli(), Chat: average(one.Chat), Connected: average(one.Connected),
			MaxChat: int(one.MaxChat), MaxConnected: int(one.MaxConnected),
		})
	}
	if !request.Joins {
		return result, nil
	}
	joins, err := e.store.Joins(ctx, channel, times, bus.MaxQueryLimit+1)
	if err != nil {
		return nil, err
	}
	result.MoreJoins = len(joins) > bus.MaxQueryLimit
	joins = joins[:min(len(joins), bus.MaxQueryLimit)]
	result.Joins = make([]bus.JoinItem, len(joins))
	for i, join := range joins {
		result.Joins[len(joins)-1-i] = bus.JoinItem{AtMS: join.At.UnixMilli(), Username: join.Username, Joined: join.Joined}
	}
	return result, nil
}

// recordsQuery is bus.RecordsRequest as clients send it.
type recordsQuery struct {
	zone
	origin
}

func (recordsQuery) cost() queryCost { return needsTimes }

// records answers bus.QueryRecords.
func (e *Engine) records(
	ctx context.Context, channel store.Channel, request recordsQuery, reply queryReply,
) (any, error) {
	maxima, err := e.store.HighWater(ctx, channel)
	if err != nil {
		return nil, err
	}
	times, err := reply.times, reply.timesErr
	if errors.Is(err, errCounting) {
		times, err = &knownTimes{}, nil // the other records are known all the same
	}
	if err != nil {
		return nil, err
	}
	result := bus.RecordsReply{
		Success: true, MostUsers: maximum(maxima.Chat, maxima.ChatAt),
		MostConnected: maximum(maxima.Connected, maxima.ConnectedAt),
	}
	if busiest, found := store.BusiestDay(times.hours, request.ahead()); found {
		result.BusiestDay = &bus.RecordItem{Count: busiest.Lines, AtMS: busiest.At.UnixMilli()}
	}
	if session := times.longest.Longest; !session.Join.IsZero() {
		result.LongestSession = &bus.RecordItem{
			Count: int64(session.Length() / time.Second), AtMS: session.Join.UnixMilli(),
			Username: times.longest.Username,
		}
	}
	return result, nil
}

// maximum returns the record of a maximum, nil if it is unknown.
func maximum(users int, at time.Time) *bus.RecordItem {
	if at.IsZero() {
		return nil
	}
	return &bus.RecordItem{Count: int64(users), AtMS: at.UnixMilli()}
}

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
	ctx context.Context, channel store.Channel, request outboundQuery, reply queryReply,
) (any, error) {
	query := store.OutboundListQuery{Now: reply.now, Limit: request.limit() + 1}
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
	result.Items = result.Items[:fits(result.Items, reply.maxBytes)]
	if shown := len(result.Items); shown < len(rows) {
		last := rows[shown-1]
		result.Next = place{At: last.EnqueuedAt.UnixMilli(), Value: last.ID}.encode()
	}
	return result, nil
}
