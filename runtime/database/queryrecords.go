package database

import (
	"context"
	"errors"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// recordsQuery is bus.RecordsRequest as clients send it.
type recordsQuery struct {
	zone
	origin
}

func (recordsQuery) cost() queryCost { return needsTimes }

// records answers bus.QueryRecords.
func (e *Engine) records(
	ctx context.Context, channel store.Channel, request recordsQuery, in queryInput,
) (any, error) {
	maxima, err := e.store.HighWater(ctx, channel)
	if err != nil {
		return nil, err
	}
	times, err := in.times, in.timesErr
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
