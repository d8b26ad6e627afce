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

const (
	// defaultLimit and defaultMaxRetries are those of the Python service.
	defaultLimit      = 50
	defaultMaxRetries = 3
	// maxRows bounds the rows that are read for one reply.
	maxRows = 1000
	// topChatters is how many chatters the statistics of a channel name.
	topChatters = 10
	// errUnavailable is the error message for clients when the store fails. The log has the cause.
	errUnavailable = "the database is not available"
)

// noRows is the reply to a request for rows that fails: the Python service's clients know no other.
var noRows = []struct{}{}

// Request is a request to the database, by whatever transport it came.
type Request struct {
	Suffix bus.Suffix
	// Data is the body in JSON, as the client sent it.
	Data []byte
	// Time is when the request arrived.
	Time time.Time
	// MaxReply bounds the reply in bytes: rows that do not fit are left out. 0, or more than 512 KiB: 512 KiB.
	MaxReply int

	plugin pluginRef // of a Suffix that route has returned
}

// handler answers the requests of one subject. Its results are those of Answer.
type handler func(e *Engine, ctx context.Context, r Request) (reply any, err error)

// handlers are the subjects that are answered.
var handlers = map[bus.Suffix]handler{
	bus.StatsRecentChat:    (*Engine).recentChat,
	bus.QueryChannelStats:  (*Engine).channelStats,
	bus.QueryUserStats:     (*Engine).userStats,
	bus.OutboundGet:        (*Engine).outboundGet,
	bus.OutboundPut:        (*Engine).outboundPut,
	bus.OutboundPutCommand: (*Engine).outboundPut,
	bus.OutboundSent:       (*Engine).outboundReport,
	bus.OutboundFailed:     (*Engine).outboundReport,
	bus.KVSet:              (*Engine).kvSet,
	bus.KVGet:              (*Engine).kvGet,
	bus.KVDelete:           (*Engine).kvDelete,
	bus.KVList:             (*Engine).kvList,
	pluginKVGet:            pluginKV(bus.PluginKVGet),
	pluginKVSet:            pluginKV(bus.PluginKVSet),
	pluginKVDelete:         pluginKV(bus.PluginKVDelete),
	pluginKVList:           pluginKV(bus.PluginKVList),
	pluginKVAdd:            pluginKV(bus.PluginKVAdd),
	bus.MaintenanceRun:     (*Engine).maintenanceRun,
	bus.DeadList:           (*Engine).deadList,
	bus.DeadRetry:          (*Engine).deadRetry,
	bus.DeadDrop:           (*Engine).deadDrop,
	bus.QueryUserCounts:    query((*Engine).userCounts),
	bus.QueryChat:          query((*Engine).chat),
	bus.QueryUsers:         query((*Engine).users),
	bus.QueryUser:          query((*Engine).user),
	bus.QueryMedia:         query((*Engine).media),
	bus.QueryOutbound:      query((*Engine).outbound),
	bus.QueryRecords:       query((*Engine).records),
	bus.QueryPluginActions: query((*Engine).pluginActions),
	bus.OutboundCancel:     (*Engine).outboundCancel,
	bus.PeopleExport:       aboutPerson((*Engine).peopleExport),
	bus.PeopleForget:       aboutPerson((*Engine).peopleForget),
}

// Answer returns the reply to a request, to be sent as JSON. If the store fails, both are set: err is the cause, and
// reply is for the client. So they are if the channel is not served: then err is an errNotServed, because a reply that
// is an array cannot say so. Any other mistake of a client is not returned as an error: the reply says what is wrong.
// Without a reply, ctx ended before the request could be served, or nothing serves the subject: that is
// bus.ErrNoService.
func (e *Engine) Answer(ctx context.Context, r Request) (reply any, err error) {
	reply, _, err = e.answer(ctx, r)
	return reply, err
}

// answer also returns whether the client made a mistake that is not returned as an error.
func (e *Engine) answer(ctx context.Context, r Request) (reply any, refused bool, err error) {
	if r.plugin == (pluginRef{}) {
		r.Suffix, r.plugin = route(r.Suffix)
	}
	handle, known := handlers[r.Suffix]
	if !known {
		return nil, false, fmt.Errorf("answering %s: %w", r.Suffix, bus.ErrNoService)
	}
	if r.MaxReply == 0 || r.MaxReply > maxReplyBytes {
		r.MaxReply = maxReplyBytes
	}
	if err = e.limits.checkMessage("", r.Data); err != nil {
		reply = refusal(r.Suffix, err)
	} else {
		reply, err = handle(e, ctx, r)
	}
	switch {
	case err == nil:
		e.metrics.count(r.Suffix, outcomeAnswered, r.Time)
		return reply, false, nil
	case errors.Is(err, errInvalid), errors.Is(err, errIncomplete), errors.Is(err, errFull):
		e.refused(ctx, r.Suffix, len(r.Data), r.Time, err)
		return reply, true, nil
	case errors.Is(err, errNotServed):
		e.refused(ctx, r.Suffix, len(r.Data), r.Time, err)
		return reply, false, err
	}
	e.metrics.count(r.Suffix, outcomeFailed, r.Time)
	return reply, false, fmt.Errorf("answering %s: %w", r.Suffix, err)
}

// fitting returns the rows that fit into limit bytes as JSON, without the last ones if they do not all fit.
func fitting[T any](rows []T, limit int) []T {
	fit := rows[:0]
	for _, row := range rows {
		data, err := bus.Encode(row)
		if err != nil || len(data)+1 > limit {
			continue
		}
		limit -= len(data) + 1
		fit = append(fit, row)
	}
	return fit
}

// recentChat answers bus.StatsRecentChat.
func (e *Engine) recentChat(ctx context.Context, r Request) (any, error) {
	request := struct {
		Limit number `json:"limit"`
		origin
	}{Limit: defaultLimit}
	if err := decodeInto(r.Data, &request); err != nil {
		return noRows, err
	}
	channel, err := e.decoder.channel(request.origin)
	if err != nil {
		return noRows, err
	}
	if request.Limit <= 0 { // as in outboundGet
		return noRows, nil
	}
	rows, err := e.store.RecentChatWithin(ctx, channel, int(min(request.Limit, maxRows)), r.MaxReply)
	if err != nil {
		return noRows, err
	}
	lines := make([]bus.RecentLine, 0, len(rows))
	for _, row := range slices.Backward(rows) {
		lines = append(lines, bus.RecentLine{Timestamp: row.At.Unix(), Username: row.Username, Message: row.Text})
	}
	lines = fitting(lines, r.MaxReply) // the newest
	slices.Reverse(lines)
	return lines, nil
}

// channelStats answers bus.QueryChannelStats. It takes any body, as the Python service does.
func (e *Engine) channelStats(ctx context.Context, r Request) (any, error) {
	request, err := decodeObject[struct{ origin }](r.Data)
	if err != nil {
		request.origin = origin{}
	}
	channel, err := e.decoder.channel(request.origin)
	if err != nil {
		return bus.QueryError{Error: err.Error()}, err
	}
	maxima, maximaErr := e.store.HighWater(ctx, channel)
	chatters, chattersErr := e.store.TopChatters(ctx, channel, topChatters)
	users, usersErr := e.store.CountUsers(ctx, channel)
	if err := errors.Join(maximaErr, chattersErr, usersErr); err != nil {
		return bus.QueryError{Error: errUnavailable, Retry: true}, fmt.Errorf("reading the statistics of a channel: %w", err)
	}
	stats := bus.ChannelStatsReply{
		HighWaterMark:      bus.HighWaterMark{Users: maxima.Chat, Timestamp: unixOrNil(maxima.ChatAt)},
		HighWaterConnected: bus.HighWaterMark{Users: maxima.Connected, Timestamp: unixOrNil(maxima.ConnectedAt)},
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

// unixOrNil returns Unix seconds, and nil for the zero time.
func unixOrNil(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	return new(at.Unix())
}

// userStats answers bus.QueryUserStats.
func (e *Engine) userStats(ctx context.Context, r Request) (any, error) {
	request, err := decodeObject[struct {
		Username text `json:"username"`
		origin
	}](r.Data)
	switch {
	case err != nil:
		return bus.QueryError{Error: "Invalid request format"}, err // the message of the Python service
	case request.Username == "":
		err = fmt.Errorf("%w: no username", errIncomplete)
		return bus.QueryError{Error: "username: expected a name"}, err
	}
	name := string(request.Username)
	channel, err := e.decoder.channel(request.origin)
	if err = firstError(err, e.limits.checkUser(name)); err != nil {
		return bus.QueryError{Error: err.Error()}, err
	}
	user, seen, err := e.store.User(ctx, channel, name)
	switch {
	case err != nil:
		return bus.QueryError{Error: errUnavailable, Retry: true}, err
	case !seen:
		return bus.UserNotFoundReply{Username: name, Success: true, Message: "nobody of this name has been seen"}, nil
	}
	return userStatsReply(user), nil
}

func userStatsReply(user store.User) bus.UserStatsReply {
	stats := bus.UserStatsReply{
		Username: user.Username, FirstSeen: user.FirstSeen.Unix(), LastSeen: user.LastSeen.Unix(),
		TotalChatLines: user.Lines, Success: true, Found: true,
	}
	ended := user.Connected
	if user.SessionStart != nil {
		// Clients of the Python service add the open session themselves.
		ended -= user.LastSeen.Sub(*user.SessionStart)
		stats.CurrentSessionStart = unixOrNil(*user.SessionStart)
	}
	stats.TotalTimeConnected = int64(ended / time.Second)
	return stats
}
