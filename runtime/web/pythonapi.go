package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// The paths of this file are those of the Python bot's web page, with the same requests and responses: times are Unix
// seconds. docs/compatibility.md says what differs.

func (s *Server) pythonPages() []page {
	return []page{
		{"GET /api/current", ForReaders, s.serveCurrent},
		{"GET /api/stats", ForReaders, s.serveStats},
		{"GET /api/history/{hours}", ForReaders, s.serveHistory},
		{"GET /api/user/{name}", ForPeople, s.serveUser},
		{"GET /api/outbound/recent", ForTokens, s.serveRecentOutbound},
		{"POST /api/say", ForTokens, s.postPythonSay},
		{"GET /api/tokens", ForAll, serveNoTokens},
		{"POST /api/tokens", ForAll, serveNoTokens},
		{"DELETE /api/tokens/{prefix}", ForAll, serveNoTokens},
	}
}

func serveNoTokens(w http.ResponseWriter, _ *http.Request) {
	failAPI(w, http.StatusNotFound,
		"no path makes, lists or revokes tokens: they are files, one for each person, or keys of a Secret")
}

// askPython is ask, which answers with the error if there is one.
func (s *Server) askPython(w http.ResponseWriter, r *http.Request, suffix bus.Suffix, in, out any) bool {
	err := s.ask(r.Context(), suffix, in, out)
	if err == nil {
		return true
	}
	message, code := s.explain(r.Context(), "the Python bot's API", err)
	s.fail(w, r, code, message)
	return false
}

// pythonStatus is a row of the Python bot's table current_status. Without a title, nothing plays.
type pythonStatus struct {
	BotName       string  `json:"bot_name"`
	BotRank       float64 `json:"bot_rank"`
	BotAFK        int     `json:"bot_afk"`
	ChannelName   string  `json:"channel_name"`
	ChatUsers     int     `json:"current_chat_users"`
	Connected     int     `json:"current_connected_users"`
	PlaylistItems int     `json:"playlist_items"`
	MediaTitle    *string `json:"current_media_title"`
	MediaDuration *int    `json:"current_media_duration"`
	BotStart      int64   `json:"bot_start_time"`
	BotConnected  int     `json:"bot_connected"`
	LastUpdated   int64   `json:"last_updated"`
}

// pythonStatusOf returns the row. Of a channel of which nothing is known, it has the name alone.
func pythonStatusOf(channel string, now apiState) pythonStatus {
	row := pythonStatus{ChannelName: channel}
	state := now.State
	if state == nil {
		return row
	}
	row.BotName, row.ChatUsers, row.Connected = state.Self, state.UserCount, state.Connected
	row.PlaylistItems, row.BotStart, row.LastUpdated = state.PlaylistItems, state.BotStart/1000, state.At/1000
	if now.Live && state.Joined {
		row.BotConnected = 1
	}
	for _, user := range state.Users {
		if user.Name == state.Self && user.Name != "" {
			row.BotRank = user.Rank
			if user.AFK {
				row.BotAFK = 1
			}
		}
	}
	if state.Playing != nil {
		row.MediaTitle, row.MediaDuration = &state.Playing.Title, &state.Playing.Seconds
	}
	return row
}

const (
	// currentSpan and maxCurrentLines bound the chat of /api/current.
	currentSpan     = 20 * time.Minute
	maxCurrentLines = 1000
)

func (s *Server) serveCurrent(w http.ResponseWriter, r *http.Request) {
	request := bus.ChatRequest{Page: bus.Page{Limit: bus.MaxQueryLimit}, Order: bus.Descending, Origin: s.origin()}
	request.From.Time = time.Now().Add(-currentSpan)
	lines := []bus.RecentLine{}
	for range maxCurrentLines / bus.MaxQueryLimit {
		var reply bus.ChatReply
		if !s.askPython(w, r, bus.QueryChat, request, &reply) {
			return
		}
		for _, item := range reply.Items {
			lines = append(lines, bus.RecentLine{
				Timestamp: item.AtMS / 1000, Username: item.Username, Message: item.Message,
			})
		}
		if request.Cursor = reply.Next; reply.Next == "" {
			break
		}
	}
	slices.Reverse(lines)
	writeJSON(w, http.StatusOK, struct {
		Status pythonStatus     `json:"status"`
		Chat   []bus.RecentLine `json:"recent_chat"`
	}{pythonStatusOf(s.options.Channel.Name, s.channelNow()), lines})
}

// pythonMark is a record. Without a time, nothing has been counted yet.
type pythonMark struct {
	Count     int    `json:"count"`
	Timestamp *int64 `json:"timestamp"`
}

type pythonChatter struct {
	Username string `json:"username"`
	Messages int    `json:"messages"`
}

type pythonStats struct {
	HighWaterMarks struct {
		Chat      pythonMark `json:"chat"`
		Connected pythonMark `json:"connected"`
	} `json:"high_water_marks"`
	TotalUsersSeen int `json:"total_users_seen"`
	// TopChatters is empty for those who may not read about single persons.
	TopChatters []pythonChatter `json:"top_chatters"`
}

func (s *Server) serveStats(w http.ResponseWriter, r *http.Request) {
	var reply bus.ChannelStatsReply
	if !s.askPython(w, r, bus.QueryChannelStats, bus.ChannelStatsRequest{Origin: s.origin()}, &reply) {
		return
	}
	stats := pythonStats{TotalUsersSeen: reply.TotalUsersSeen, TopChatters: []pythonChatter{}}
	stats.HighWaterMarks.Chat = pythonMark{reply.HighWaterMark.Users, reply.HighWaterMark.Timestamp}
	stats.HighWaterMarks.Connected = pythonMark{reply.HighWaterConnected.Users, reply.HighWaterConnected.Timestamp}
	if s.allows(ForPeople, r) {
		for _, chatter := range reply.TopChatters {
			stats.TopChatters = append(stats.TopChatters, pythonChatter{chatter.Username, chatter.ChatLines})
		}
	}
	writeJSON(w, http.StatusOK, stats)
}

// maxHistoryHours is the longest history. As with Python, more is cut.
const maxHistoryHours = 168

type pythonCount struct {
	Timestamp int64 `json:"timestamp"`
	Chat      int   `json:"chat_users"`
	Connected int   `json:"connected_users"`
}

func (s *Server) serveHistory(w http.ResponseWriter, r *http.Request) {
	hours, err := strconv.ParseUint(r.PathValue("hours"), 10, 31)
	if err != nil {
		failAPI(w, http.StatusNotFound, "hours: expected a whole number of hours, such as 24")
		return
	}
	hours = min(hours, maxHistoryHours)
	counts := []pythonCount{}
	if hours > 0 {
		request := bus.UserCountsRequest{Points: bus.MaxCountPoints, Origin: s.origin()}
		request.From.Time = time.Now().Add(-time.Duration(hours) * time.Hour)
		var reply bus.UserCountsReply
		if !s.askPython(w, r, bus.QueryUserCounts, request, &reply) {
			return
		}
		for _, point := range reply.Items {
			counts = append(counts, pythonCount{point.AtMS / 1000, point.Chat, point.Connected})
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Hours uint64        `json:"hours"`
		Data  []pythonCount `json:"data"`
	}{hours, counts})
}

// pythonUser is a row of the Python bot's table user_stats.
type pythonUser struct {
	Username            string `json:"username"`
	FirstSeen           int64  `json:"first_seen"`
	LastSeen            int64  `json:"last_seen"`
	TotalChatLines      int    `json:"total_chat_lines"`
	TotalTimeConnected  int64  `json:"total_time_connected"`
	CurrentSessionStart *int64 `json:"current_session_start"`
}

func (s *Server) serveUser(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if len(name) > maxPersonBytes {
		failAPI(w, http.StatusNotFound, noSuchPerson)
		return
	}
	var reply bus.UserStatsReply
	request := bus.UserStatsRequest{Username: name, Origin: s.origin()}
	if !s.askPython(w, r, bus.QueryUserStats, request, &reply) {
		return
	}
	if !reply.Found {
		failAPI(w, http.StatusNotFound, noSuchPerson)
		return
	}
	writeJSON(w, http.StatusOK, pythonUser{
		reply.Username, reply.FirstSeen, reply.LastSeen, reply.TotalChatLines, reply.TotalTimeConnected,
		reply.CurrentSessionStart,
	})
}

// pythonLine is a row of the Python bot's table outbound_messages, and what it means.
type pythonLine struct {
	ID        int64  `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	Preview   string `json:"message_preview"`
	// Sent is 1 when nothing more is going to be tried.
	Sent          int     `json:"sent"`
	SentTimestamp *int64  `json:"sent_timestamp"`
	RetryCount    int     `json:"retry_count"`
	LastError     *string `json:"last_error"`
	Status        string  `json:"status"`
}

const (
	// previewRunes is the length of a preview in characters.
	previewRunes = 100
	// pythonRetries is how many failed attempts make a line an abandoned one.
	pythonRetries = 3
)

func pythonLineOf(item bus.OutboundItem) pythonLine {
	line := pythonLine{
		ID: item.ID, Timestamp: item.QueuedMS / 1000, Message: item.Message, Preview: item.Message,
		RetryCount: item.RetryCount, Status: "queued",
	}
	if runes := []rune(item.Message); len(runes) > previewRunes {
		line.Preview = string(runes[:previewRunes])
	}
	if item.LastError != "" {
		line.LastError = &item.LastError
	}
	switch item.State {
	case bus.OutboundSaid:
		line.Sent, line.SentTimestamp, line.Status = 1, new(item.ChangedMS/1000), "sent"
	case bus.OutboundAbandoned:
		line.Sent, line.Status = 1, "failed"
		if item.RetryCount >= pythonRetries {
			line.Status = "abandoned"
		}
	case bus.OutboundCancelled:
		line.Sent, line.Status = 1, "cancelled"
	case bus.OutboundWaits, bus.OutboundClaimed, bus.OutboundUnknown:
		if item.RetryCount > 0 {
			line.Status = "retrying"
		}
	}
	return line
}

const (
	// defaultRecent and maxRecent are for the limit of /api/outbound/recent. As with Python, more is cut.
	defaultRecent = 20
	maxRecent     = 100
)

func (s *Server) serveRecentOutbound(w http.ResponseWriter, r *http.Request) {
	limit, isLimit := numberIn(r.URL.Query().Get("limit"), 1, 1<<31-1)
	if !isLimit {
		failAPI(w, http.StatusBadRequest, "limit: expected a number from 1 to "+strconv.Itoa(maxRecent))
		return
	}
	limit = min(cmp.Or(limit, defaultRecent), maxRecent)
	request := bus.OutboundListRequest{Page: bus.Page{Limit: int(limit)}, Origin: s.origin()}
	var reply bus.OutboundListReply
	if !s.askPython(w, r, bus.QueryOutbound, request, &reply) {
		return
	}
	lines := []pythonLine{}
	for _, item := range reply.Items {
		lines = append(lines, pythonLineOf(item))
	}
	writeJSON(w, http.StatusOK, struct {
		Messages []pythonLine `json:"messages"`
	}{lines})
}

func (s *Server) postPythonSay(w http.ResponseWriter, r *http.Request) {
	id, ok := s.sayBody(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Queued bool  `json:"queued"`
		ID     int64 `json:"id"`
	}{true, id})
}
