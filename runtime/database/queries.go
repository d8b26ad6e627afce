package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// topChatters is how many chatters a channel's statistics name.
const topChatters = 10

func (w *worker) recentChat(ctx context.Context, m arrival) (any, error) {
	request := struct {
		Limit number `json:"limit"`
		origin
	}{Limit: defaultLimit}
	if err := decodeInto(m.Data, &request); err != nil {
		return noRows, err
	}
	if request.Limit <= 0 { // as in outbound
		return noRows, nil
	}
	rows, err := w.store.RecentChat(ctx, w.decoder.channel(request.origin), int(min(request.Limit, maxRows)))
	if err != nil {
		return noRows, err
	}
	lines := make([]bus.RecentLine, 0, len(rows))
	for _, row := range slices.Backward(rows) {
		lines = append(lines, bus.RecentLine{Timestamp: row.At.Unix(), Username: row.Username, Message: row.Text})
	}
	lines = fitting(lines, w.room()) // the newest
	slices.Reverse(lines)
	return lines, nil
}

// channelStats takes any body, as the Python service does.
func (w *worker) channelStats(ctx context.Context, m arrival) (any, error) {
	request, err := decodeObject[struct{ origin }](m.Data)
	if err != nil {
		request.origin = origin{}
	}
	channel := w.decoder.channel(request.origin)
	maxima, maximaErr := w.store.HighWater(ctx, channel)
	chatters, chattersErr := w.store.TopChatters(ctx, channel, topChatters)
	users, usersErr := w.store.CountUsers(ctx, channel)
	if err := errors.Join(maximaErr, chattersErr, usersErr); err != nil {
		return bus.QueryError{Error: "the database does not work"}, err
	}
	stats := bus.ChannelStatsReply{
		HighWaterMark:      bus.HighWaterMark{Users: maxima.Chat, Timestamp: seconds(maxima.ChatAt)},
		HighWaterConnected: bus.HighWaterMark{Users: maxima.Connected, Timestamp: seconds(maxima.ConnectedAt)},
		TopChatters:        []bus.TopChatter{},
		TotalUsersSeen:     users,
		Success:            true,
	}
	for _, chatter := range chatters {
		stats.TopChatters = append(stats.TopChatters, bus.TopChatter{
			Username: chatter.Username, ChatLines: chatter.Lines,
		})
	}
	return stats, nil
}

// seconds is nil for the zero time.
func seconds(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	return new(at.Unix())
}

func (w *worker) userStats(ctx context.Context, m arrival) (any, error) {
	request, err := decodeObject[struct {
		Username text `json:"username"`
		origin
	}](m.Data)
	switch {
	case err != nil:
		return bus.QueryError{Error: "Invalid request format"}, err // the Python service's words
	case request.Username == "":
		err = fmt.Errorf("%w: no username", errIncomplete)
		return bus.QueryError{Error: "username: expected a name"}, err
	}
	name := string(request.Username)
	user, seen, err := w.store.User(ctx, w.decoder.channel(request.origin), name)
	switch {
	case err != nil:
		return bus.QueryError{Error: "the database does not work"}, err
	case !seen:
		return bus.UserNotFoundReply{Username: name, Success: true, Message: "nobody of this name has been seen"}, nil
	}
	return userStats(user), nil
}

func userStats(user store.User) bus.UserStatsReply {
	stats := bus.UserStatsReply{
		Username: user.Username, FirstSeen: user.FirstSeen.Unix(), LastSeen: user.LastSeen.Unix(),
		TotalChatLines: user.Lines, Success: true, Found: true,
	}
	ended := user.Connected
	if user.SessionStart != nil {
		// Clients of the Python service add the open session themselves.
		ended -= user.LastSeen.Sub(*user.SessionStart)
		stats.CurrentSessionStart = seconds(*user.SessionStart)
	}
	stats.TotalTimeConnected = int64(ended / time.Second)
	return stats
}
