package database

import (
	"context"
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
	ctx context.Context, channel store.Channel, request userCountsQuery, in queryInput,
) (any, error) {
	times, err := request.within(in.now, day, maxCountsSpan)
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
