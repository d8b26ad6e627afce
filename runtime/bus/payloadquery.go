package bus

// ChannelStatsRequest is the body of a QueryChannelStats request. Any other body is taken for the
// service's own channel.
type ChannelStatsRequest struct{ Origin }

// ChannelStatsReply is the reply to QueryChannelStats. When Success is false, only Error is there.
type ChannelStatsReply struct {
	// HighWaterMark is the most named users that were there at once, HighWaterConnected the most
	// connections, anonymous ones too.
	HighWaterMark      HighWaterMark `json:"high_water_mark"`
	HighWaterConnected HighWaterMark `json:"high_water_connected"`
	// TopChatters are up to 10, most lines first.
	TopChatters    []TopChatter `json:"top_chatters"`
	TotalUsersSeen int          `json:"total_users_seen"`
	Success        bool         `json:"success"`
	Error          string       `json:"error,omitempty"`
}

// HighWaterMark is a record.
type HighWaterMark struct {
	Users int `json:"users"`
	// Timestamp is when it was first reached, in Unix seconds. Nil: there is no record yet.
	Timestamp *int64 `json:"timestamp"`
}

// TopChatter is a user and how many lines they wrote.
type TopChatter struct {
	Username  string `json:"username"`
	ChatLines int    `json:"chat_lines"`
}

// UserStatsRequest is the body of a QueryUserStats request. Names are compared without regard to case.
type UserStatsRequest struct {
	Username string `json:"username"`
	Origin
}

// UserStatsReply is the reply to QueryUserStats. When Found is false, only Username, Success and
// Message are there, and when Success is false, only Error.
type UserStatsReply struct {
	// Username is spelled as it was last.
	Username       string `json:"username"`
	FirstSeen      int64  `json:"first_seen"` // Unix seconds
	LastSeen       int64  `json:"last_seen"`  // Unix seconds
	TotalChatLines int    `json:"total_chat_lines"`
	// TotalTimeConnected is in seconds, without the session that is still open.
	TotalTimeConnected int64 `json:"total_time_connected"`
	// CurrentSessionStart is in Unix seconds. Nil: they are not in the channel.
	CurrentSessionStart *int64 `json:"current_session_start"`
	Success             bool   `json:"success"`
	Found               bool   `json:"found"`
	Message             string `json:"message,omitempty"`
	Error               string `json:"error,omitempty"`
}

// UserNotFoundReply is UserStatsReply as it is sent for a user that nobody has seen.
type UserNotFoundReply struct {
	Username string `json:"username"`
	Success  bool   `json:"success"`
	Found    bool   `json:"found"`
	Message  string `json:"message"`
}

// QueryError is the reply to a QueryChannelStats or QueryUserStats that failed. Success is false.
type QueryError struct {
	Success bool   `json:"success"`
	Error   string `json:"error"`
}

// PMCommandPayload is the body of ActionPMCommand: somebody gave the bot a command by private message.
type PMCommandPayload struct {
	Username string `json:"username"`
	// Command is its first word, Args the rest.
	Command string `json:"command"`
	Args    string `json:"args"`
	// Result is "pending", "success" or "error"; the service's default is "unknown". Publish one
	// event, with the result; the Python shell publishes two.
	Result string  `json:"result"`
	Error  *string `json:"error"`
	Origin
}
