package database

import (
	"context"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	day = 24 * time.Hour
	// usualUserSpan and maxUserSpan are the range of a request about a user.
	usualUserSpan = 90 * day
	maxUserSpan   = 366 * day
	// lastLines is how many of a user's lines are shown, and maxReadLast bounds the lines that are read for them.
	lastLines   = 20
	maxReadLast = 10_000
)

// userQuery is bus.UserRequest as clients send it.
type userQuery struct {
	Username text `json:"username"`
	span
	zone
	origin
}

func (q userQuery) check() error {
	err := firstError(checkWords("username", q.Username), q.span.check(), q.zone.check())
	if err == nil && q.Username == "" {
		return &fieldError{"username", "a name"}
	}
	return err
}

func (userQuery) cost() queryCost { return readsMuch } // the last lines are looked for

// user answers bus.QueryUser.
func (e *Engine) user(ctx context.Context, channel store.Channel, request userQuery, in queryInput) (any, error) {
	times, err := request.within(in.now, usualUserSpan, maxUserSpan)
	if err != nil {
		return nil, err
	}
	name := string(request.Username)
	user, seen, err := e.store.User(ctx, channel, name)
	if err != nil {
		return nil, err
	}
	result := bus.UserReply{
		Success: true, Found: seen, Sessions: []bus.SessionItem{}, Days: []bus.DayItem{}, LastLines: []bus.ChatItem{},
	}
	if !seen {
		result.Username = name
		return result, nil
	}
	result.UserItem = userItem(user)
	result.FromMS, result.ToMS = times.From.UnixMilli(), times.To.UnixMilli()
	result.Sessions, result.MoreSessions = sessionItems(user.Sessions, times)
	counts, err := e.store.ChatHours(ctx, channel, name, times)
	if err != nil {
		return nil, err
	}
	addHours(&result, counts, request.ahead())
	lines, err := e.store.Chat(ctx, channel, store.ChatQuery{
		Match: matchLines(name, ""), Limit: lastLines, MaxBytes: in.maxBytes / 2, MaxRead: maxReadLast,
		Until: time.Now().Add(maxSearchTime),
	})
	if err != nil {
		return nil, err
	}
	items := chatItems(lines.Lines)
	result.LastLines = items[:fits(items, in.maxBytes/2)]
	return result, nil
}

// sessionItems returns the sessions that overlap a span, the newest first, and whether there are more.
func sessionItems(sessions []store.Session, span store.Span) (items []bus.SessionItem, more bool) {
	items = []bus.SessionItem{}
	for _, session := range slices.Backward(sessions) {
		if !session.Join.Before(span.To) || !session.Leave.IsZero() && session.Leave.Before(span.From) {
			continue
		}
		if len(items) == bus.MaxQueryLimit {
			return items, true
		}
		item := bus.SessionItem{JoinMS: session.Join.UnixMilli()}
		if !session.Leave.IsZero() {
			item.LeaveMS = session.Leave.UnixMilli()
		}
		items = append(items, item)
	}
	return items, false
}

// addHours adds the lines by weekday and hour, and by day, in a zone that is ahead of UTC, as far as whole hours tell.
func addHours(result *bus.UserReply, counts []store.HourCount, ahead time.Duration) {
	for _, count := range counts {
		local := count.At.UTC().Add(store.WholeHours(ahead))
		weekday := (int(local.Weekday()) + 6) % 7 // the first is Monday
		result.Hours[weekday][local.Hour()] += int(count.Lines)
		date := local.Format(time.DateOnly)
		if last := len(result.Days) - 1; last >= 0 && result.Days[last].Date == date {
			result.Days[last].Lines += int(count.Lines)
			continue
		}
		result.Days = append(result.Days, bus.DayItem{Date: date, Lines: int(count.Lines)})
	}
}
