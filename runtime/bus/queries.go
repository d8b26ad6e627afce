package bus

// The requests of this file read what the database service has stored. Each reply has Success; if it is false, only
// Error is set, which names the field and what was expected. Times in requests are Seconds; those in replies are
// milliseconds since 1970 UTC, in fields whose names end in _ms.

// Bounds of the query requests. Exceeding one is an error that names the field.
const (
	// DefaultQueryLimit and MaxQueryLimit are for Page.Limit.
	DefaultQueryLimit = 50
	MaxQueryLimit     = 500
	// MaxQueryReplyBytes bounds the items of a reply. What does not fit is on the next page.
	MaxQueryReplyBytes = 256 << 10
	// MaxWordsBytes bounds ChatRequest.Words and UsersRequest.Filter, and MaxWords the number of words.
	MaxWordsBytes = 256
	MaxWords      = 16
	// MaxUTCOffsetMinutes bounds Zone.UTCOffset in both directions.
	MaxUTCOffsetMinutes = 14 * 60
	// DefaultCountPoints and MaxCountPoints are for UserCountsRequest.Points.
	DefaultCountPoints = 300
	MaxCountPoints     = 1000
)

// Range selects what happened from From on and before To. Without From there is no beginning, unless the request says
// otherwise; without To there is no end. A To that is not after From is an error.
type Range struct {
	From Seconds `json:"from,omitzero"`
	To   Seconds `json:"to,omitzero"`
}

// Page selects a part of a list.
type Page struct {
	// Limit is the highest number of items, from 1 to MaxQueryLimit. 0: DefaultQueryLimit. There may be fewer items
	// than that although there is a next page.
	Limit int `json:"limit,omitempty"`
	// Cursor is the Next of an earlier reply to the same request; all other fields have to be the same. Empty: the first
	// page. Pages neither repeat nor leave out what was stored before the first of them was requested.
	Cursor string `json:"cursor,omitempty"`
}

// Zone is the time zone of whoever reads days and hours of the day.
type Zone struct {
	// UTCOffset is how many minutes the zone is ahead of UTC. Lines are counted by full hours of UTC: in a zone with half
	// hours, an hour counts where most of it lies, and of two halves where the first one lies. The lines of up to half an
	// hour then count for the hour beside theirs, and at midnight for the day.
	UTCOffset int `json:"utc_offset,omitempty"`
}

// Order is the order of a list.
type Order string

// The orders.
const (
	Ascending  Order = "asc"
	Descending Order = "desc"
)

// UserCountsRequest is the body of a QueryUserCounts request: how many users there were over time. Without From it is
// the last day before To.
type UserCountsRequest struct {
	Range
	// Points is the highest number of items, from 2 to MaxCountPoints. 0: DefaultCountPoints.
	Points int `json:"points,omitempty"`
	// Joins adds UserCountsReply.Joins.
	Joins bool `json:"joins,omitempty"`
	Origin
}

// UserCountsReply is the reply to QueryUserCounts.
type UserCountsReply struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	// FromMS and ToMS are the range that was read.
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
	// StepMS is the time that one item stands for, whole minutes. Items begin at multiples of it.
	StepMS int64 `json:"step_ms"`
	// Items are ordered by time. There is none for a time without samples.
	Items []UserCountPoint `json:"items"`
	// Joins are the newest joins and leaves of the range, up to MaxQueryLimit, ordered by time.
	Joins []JoinItem `json:"joins,omitempty"`
	// MoreJoins means that there are earlier ones in the range.
	MoreJoins bool `json:"more_joins,omitempty"`
}

// UserCountPoint are the samples of one step.
type UserCountPoint struct {
	AtMS int64 `json:"at_ms"` // the beginning of the step
	// Chat and Connected are averages of named users and of all connections, rounded up.
	Chat      int `json:"chat"`
	Connected int `json:"connected"`
	// MaxChat and MaxConnected are the highest samples.
	MaxChat      int `json:"max_chat"`
	MaxConnected int `json:"max_connected"`
}

// JoinItem is a join or a leave.
type JoinItem struct {
	AtMS     int64  `json:"at_ms"`
	Username string `json:"username"`
	Joined   bool   `json:"joined"` // false: left
}

// ChatRequest is the body of a QueryChat request for lines of chat.
//
// A request reads at most 50,000 lines, and for at most 300 ms: a search may end with few items or none, and Next to go
// on.
type ChatRequest struct {
	Range
	Page
	// Order is by time. Empty: Descending, the newest first.
	Order Order `json:"order,omitempty"`
	// Username selects the lines of one user, without regard to case. Empty: everybody's.
	Username string `json:"username,omitempty"`
	// Words selects the lines whose plain text contains all of the words, which are separated by white space, without
	// regard to case. At most MaxWordsBytes and MaxWords. Empty: all lines.
	Words string `json:"words,omitempty"`
	Origin
}

// ChatReply is the reply to QueryChat.
type ChatReply struct {
	Success bool       `json:"success"`
	Error   string     `json:"error,omitempty"`
	Items   []ChatItem `json:"items"`
	// Next is the cursor of the page after this one. Absent: there is none.
	Next string `json:"next,omitempty"`
	// Previous is the cursor of the page before this one, in the same order. Absent: this is the first page.
	Previous string `json:"previous,omitempty"`
	// ReadToMS is the time of the last line that was read, which may be far from the last item of a search. 0: none was.
	ReadToMS int64 `json:"read_to_ms,omitempty"`
}

// ChatItem is a line of chat.
type ChatItem struct {
	// ID identifies the line within its channel. To show the lines around it, ask for those from AtMS on in ascending
	// order, and for those before AtMS in descending order.
	ID       string `json:"id"`
	AtMS     int64  `json:"at_ms"`
	Username string `json:"username"` // as it was spelled
	Message  string `json:"message"`  // HTML as CyTube sent it
}

// UsersRequest is the body of a QueryUsers request for the users of a channel.
type UsersRequest struct {
	Page
	// Sort is the order of the list. Empty: UsersByLines.
	Sort UsersSort `json:"sort,omitempty"`
	// Order is Ascending or Descending. Empty: Ascending for names, Descending for all others.
	Order Order `json:"order,omitempty"`
	// Filter selects the users whose names contain a text, without regard to case. At most MaxWordsBytes. Empty: all.
	Filter string `json:"filter,omitempty"`
	Origin
}

// UsersSort is the order of a list of users. Users with the same value are ordered by name.
type UsersSort string

// The orders of users.
const (
	UsersByLines UsersSort = "lines"
	// UsersByHours is the order of UserItem.ConnectedMS.
	UsersByHours     UsersSort = "hours"
	UsersByFirstSeen UsersSort = "first_seen"
	UsersByLastSeen  UsersSort = "last_seen"
	UsersByName      UsersSort = "name"
)

// UsersReply is the reply to QueryUsers.
type UsersReply struct {
	Success bool       `json:"success"`
	Error   string     `json:"error,omitempty"`
	Items   []UserItem `json:"items"`
	Next    string     `json:"next,omitempty"` // as in ChatReply
	// Total is the number of users of the channel, without regard to Filter.
	Total int `json:"total"`
}

// UserItem is what is known about a user.
type UserItem struct {
	Username    string `json:"username"` // the latest spelling
	Lines       int    `json:"lines"`
	FirstSeenMS int64  `json:"first_seen_ms"`
	LastSeenMS  int64  `json:"last_seen_ms"`
	// ConnectedMS is the time of all sessions, an open one up to LastSeenMS, and of imported data. In a list it is as it
	// was when it was last added up: a second ago, or where there are millions of joins and leaves, some minutes. Of more
	// than 200,000 users, it is 0 there for those with the shortest times.
	ConnectedMS int64 `json:"connected_ms"`
	// OnlineSinceMS is when the open session began, as of ConnectedMS. Absent: the user is not in the channel, as far as
	// the database knows.
	OnlineSinceMS int64 `json:"online_since_ms,omitempty"`
}

// UserRequest is the body of a QueryUser request about one user. Sessions, hours and days are those of the range;
// without From it is the last 90 days before To, and it is at most 366 days.
type UserRequest struct {
	// Username is compared without regard to case. Required.
	Username string `json:"username"`
	Range
	Zone
	Origin
}

// UserReply is the reply to QueryUser.
type UserReply struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	// Found is false if the user has never been seen, or was removed since: then Username is that of the request, and
	// nothing else is set.
	Found bool `json:"found"`
	UserItem
	// FromMS and ToMS are the range.
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
	// Sessions are those that overlap the range, the newest first, up to MaxQueryLimit.
	Sessions []SessionItem `json:"sessions"`
	// MoreSessions means that there are earlier ones in the range.
	MoreSessions bool `json:"more_sessions,omitempty"`
	// Hours are the lines of the range by weekday, of which the first is Monday, and hour of the day.
	Hours [7][24]int `json:"hours"`
	// Days are the days of the range with lines, ordered by time. Hours and days outlive the lines.
	Days []DayItem `json:"days"`
	// LastLines are up to 20 of the newest lines that are kept, the newest first, whatever the range. They are looked for
	// as ChatRequest does.
	LastLines []ChatItem `json:"last_lines"`
}

// SessionItem is a stay in the channel.
type SessionItem struct {
	JoinMS int64 `json:"join_ms"`
	// LeaveMS is absent while the session is open.
	LeaveMS int64 `json:"leave_ms,omitempty"`
}

// DayItem is a day in the zone of the request.
type DayItem struct {
	Date  string `json:"date"` // "2006-01-02"
	Lines int    `json:"lines"`
}

// MediaRequest is the body of a QueryMedia request for what was played, the newest first.
type MediaRequest struct {
	Range
	Page
	// By is how plays are listed. Empty: MediaPlays.
	By MediaBy `json:"by,omitempty"`
	// Username selects what one user has queued, without regard to case. Empty: everybody.
	Username string `json:"username,omitempty"`
	Origin
}

// MediaBy is how plays are listed.
type MediaBy string

// The lists of plays.
const (
	MediaPlays  MediaBy = "plays" // each play, the newest first
	MediaByItem MediaBy = "item"  // each item once, the most played first
	MediaByUser MediaBy = "user"  // each user once, whoever queued most first
)

// MediaReply is the reply to QueryMedia.
type MediaReply struct {
	Success bool        `json:"success"`
	Error   string      `json:"error,omitempty"`
	Items   []MediaItem `json:"items"`
	Next    string      `json:"next,omitempty"` // as in ChatReply
	// CountedFromMS is set by MediaByItem and MediaByUser if only the newest 50,000 plays of the range were counted: it is
	// the time of the first of these.
	CountedFromMS int64 `json:"counted_from_ms,omitempty"`
}

// MediaItem is a play, or several: of one item, or of all items of one user.
type MediaItem struct {
	AtMS int64 `json:"at_ms"` // when the play began, or the last of them
	// Media is what was played; of MediaByItem it has no QueuedBy, of MediaByUser nothing else.
	Media
	// Plays is how often it was played, 1 in MediaPlays.
	Plays int `json:"plays"`
}

// OutboundListRequest is the body of a QueryOutbound request for outbound lines, the newest first.
type OutboundListRequest struct {
	Page
	// States select lines. Empty: all.
	States []OutboundState `json:"states,omitempty"`
	Origin
}

// OutboundListReply is the reply to QueryOutbound.
type OutboundListReply struct {
	Success bool           `json:"success"`
	Error   string         `json:"error,omitempty"`
	Items   []OutboundItem `json:"items"`
	Next    string         `json:"next,omitempty"` // as in ChatReply
}

// OutboundItem is an outbound line.
type OutboundItem struct {
	ID       int64         `json:"id"`
	State    OutboundState `json:"state"`
	QueuedMS int64         `json:"queued_ms"`
	Message  string        `json:"message"` // plain text
	// Asker is OutboundPutRequest.Asker.
	Asker string `json:"asker,omitempty"`
	// ChangedMS is when it was sent, failed for good or taken back; of a line that waits, when the last attempt failed.
	// 0: nothing has become of it yet.
	ChangedMS int64 `json:"changed_ms,omitempty"`
	// RetryCount is how many attempts have failed, LastError why the last of them has.
	RetryCount int    `json:"retry_count,omitempty"`
	LastError  string `json:"last_error,omitempty"`
}

// PluginActionsRequest is the body of a QueryPluginActions request for what plugins said and did, the newest first.
type PluginActionsRequest struct {
	Range
	Page
	// Plugin selects what one plugin did. Empty: all plugins.
	Plugin string `json:"plugin,omitempty"`
	Origin
}

// PluginActionsReply is the reply to QueryPluginActions.
type PluginActionsReply struct {
	Success bool               `json:"success"`
	Error   string             `json:"error,omitempty"`
	Items   []PluginActionItem `json:"items"`
	Next    string             `json:"next,omitempty"` // as in ChatReply
}

// PluginActionItem is a call that a plugin answered, or something that it said or did besides. Its texts are at most
// 2 KiB each.
type PluginActionItem struct {
	AtMS   int64  `json:"at_ms"`
	Plugin string `json:"plugin"`
	// Did is the command that was called, or what the plugin asked for: say, queue, or a PluginVerb.
	Did string `json:"did"`
	// Call is the ID of the call because of which it was done, and Asker who called. Empty: the plugin did it by itself.
	Call  string `json:"call,omitempty"`
	Asker string `json:"asker,omitempty"`
	// Args are the arguments of the call, or what the plugin asked for was about. Said are the lines of the answer,
	// separated by " / ".
	Args string `json:"args,omitempty"`
	Said string `json:"said,omitempty"`
	// Problem is why it failed. Empty: it did not.
	Problem string `json:"problem,omitempty"`
}

// RecordsRequest is the body of a QueryRecords request.
type RecordsRequest struct {
	Zone
	Origin
}

// RecordsReply is the reply to QueryRecords. Records that nobody has set are absent.
type RecordsReply struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	// MostUsers is the highest number of named users at a time, MostConnected that of connections.
	MostUsers     *RecordItem `json:"most_users,omitempty"`
	MostConnected *RecordItem `json:"most_connected,omitempty"`
	// LongestSession has the Username and lasts Count seconds from AtMS on. It may be open: then it is counted up to when
	// the user was last seen. Like UserItem.ConnectedMS it may be some minutes old, and it is absent until it was counted
	// for the first time. So is BusiestDay.
	LongestSession *RecordItem `json:"longest_session,omitempty"`
	// BusiestDay is the day with the most lines, as far as lines were counted by hours. AtMS is when it began.
	BusiestDay *RecordItem `json:"busiest_day,omitempty"`
}

// RecordItem is a record.
type RecordItem struct {
	Count    int64  `json:"count"`
	AtMS     int64  `json:"at_ms"`
	Username string `json:"username,omitempty"`
}
