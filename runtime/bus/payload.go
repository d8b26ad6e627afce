package bus

// Origin is where and when something happened. All its fields are optional on the wire: a message
// without channel belongs to the service's own channel, one without timestamp to the moment it arrives.
type Origin struct {
	Server    string  `json:"server,omitempty"`
	Channel   string  `json:"channel,omitempty"`
	Timestamp Seconds `json:"timestamp,omitzero"`
}

// UserPayload is the body of UserJoined and UserLeft.
type UserPayload struct {
	Username string `json:"username"`
	Origin
}

// MessagePayload is the body of MessageLog. Message is HTML as CyTube sent it.
type MessagePayload struct {
	Username string `json:"username"`
	Message  string `json:"message"`
	Origin
}

// UserCountPayload is the body of StatsUserCount.
type UserCountPayload struct {
	ChatCount      int `json:"chat_count"`
	ConnectedCount int `json:"connected_count"`
	Origin
}

// HighWaterPayload is the body of StatsHighWater.
type HighWaterPayload struct {
	ChatCount      int  `json:"chat_count"`
	ConnectedCount *int `json:"connected_count"`
	Origin
}

// StatusPayload is the body of StatusUpdate.
type StatusPayload struct {
	StatusData StatusData `json:"status_data"`
	Origin
}

// StatusData is the bot's state. A nil field is not sent and leaves what is stored.
type StatusData struct {
	BotName               *string  `json:"bot_name,omitempty"`
	BotRank               *float64 `json:"bot_rank,omitempty"`
	BotAFK                *Flag    `json:"bot_afk,omitempty"`
	ChannelName           *string  `json:"channel_name,omitempty"`
	CurrentChatUsers      *int     `json:"current_chat_users,omitempty"`
	CurrentConnectedUsers *int     `json:"current_connected_users,omitempty"`
	PlaylistItems         *int     `json:"playlist_items,omitempty"`
	CurrentMediaTitle     *string  `json:"current_media_title,omitempty"`
	CurrentMediaDuration  *int64   `json:"current_media_duration,omitempty"` // seconds
	BotStartTime          *int64   `json:"bot_start_time,omitempty"`         // Unix seconds
	BotConnected          *Flag    `json:"bot_connected,omitempty"`
	// WatchingSince is when the bot came into the channel and was told who is there; each of them has a UserJoined
	// of the same moment. Whoever else was there before has left while no bot was there to see it.
	WatchingSince Seconds `json:"watching_since,omitzero"`
}

// RecentChatRequest is the body of a StatsRecentChat request. The service's default limit is 50.
type RecentChatRequest struct {
	Limit *int `json:"limit,omitempty"`
	Origin
}

// RecentLine is one element of the reply to StatsRecentChat, which is always a JSON array.
type RecentLine struct {
	Timestamp int64  `json:"timestamp"` // Unix seconds
	Username  string `json:"username"`
	Message   string `json:"message"`
}
