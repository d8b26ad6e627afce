package bus

import "rosey.dev/rosey/runtime/status"

// ChannelGet returns the subject of the request for the ChannelState of a channel. The bot that leads in the channel
// replies, and no other: without one there is no responder. The body is ignored.
func ChannelGet(channel string) Suffix {
	return Suffix(channelToken + "." + ChannelToken(channel) + "." + getToken)
}

const (
	// AnyChannelGet matches ChannelGet of every channel, for permissions to publish.
	AnyChannelGet Suffix = channelToken + ".*." + getToken
	// AllChannels matches ChannelGet and CommandsGet of every channel, for permissions to subscribe.
	AllChannels Suffix = channelToken + ".>"

	channelToken = "channel"
	getToken     = "get"
)

// FeedEvents returns the subject on which a bot publishes an event of its channel: the feed. Names that CyTube knows
// keep their case.
func FeedEvents(channel, event string) Suffix {
	return Suffix(feedToken + "." + ChannelToken(channel) + "." + SubjectToken(event))
}

// FeedOf matches FeedEvents of every event of a channel.
func FeedOf(channel string) Suffix { return FeedEvents(channel, "") + ">" }

// AllFeeds matches FeedEvents of every channel, for permissions.
const AllFeeds Suffix = feedToken + ".>"

const feedToken = "events.cytube"

// FeedPosition says up to where a bot has published its feed. Every event of the feed has one, and so has a
// ChannelState, which contains what all events up to its position have changed.
//
// So whoever wants to know what is in a channel, all the time, subscribes to the feed, requests the ChannelState, drops
// the events up to its position, and from then on requests it again whenever an event is not the next: BotStart is
// another or Number is not one more than that of the event before. The feed is best effort, and one bot may follow
// another.
type FeedPosition struct {
	// BotStart is when the bot's process started, in milliseconds since 1970 UTC. It tells processes apart.
	BotStart int64 `json:"bot_start_ms"`
	// Number counts the events of the feed since the bot's process started. That of the first is 1. Numbers of events
	// that could not be published are left out.
	Number uint64 `json:"number"`
}

const (
	// MaxChannelStateBytes bounds a ChannelState as JSON.
	MaxChannelStateBytes = 512 << 10
	// MaxNextItems bounds ChannelState.Next.
	MaxNextItems = 50
)

// ChannelState is the reply to ChannelGet: what the bot knows of its channel.
type ChannelState struct {
	// Success is always true. A reply without it is not from a bot.
	Success bool `json:"success"`
	FeedPosition

	Server  string `json:"server"`
	Channel string `json:"channel"`
	// At is when the state was taken, in milliseconds since 1970 UTC by the bot's clock.
	At int64 `json:"at_ms"`
	// Joined reports whether the bot is in the channel. If it is false, nothing below Check is set.
	Joined bool `json:"joined"`
	// Check says why the bot is not in the channel, or under which name it is.
	Check status.Check `json:"check"`

	// Self is the bot's name. Empty: it is an anonymous watcher.
	Self string `json:"self"`
	// Users are those with a name, sorted by name. If they do not fit into MaxChannelStateBytes, the last ones are left
	// out, and UserCount is more than their number.
	Users     []ChannelUser `json:"users"`
	UserCount int           `json:"user_count"`
	// Connected is the number of connections, those without a name included.
	Connected int `json:"connected"`
	// Playing is nil if nothing plays.
	Playing *PlayingMedia `json:"playing,omitempty"`
	// PlaybackLeader is the user who controls the playback. Empty: the server does.
	PlaybackLeader string `json:"playback_leader,omitempty"`
	// Next are the items that follow what plays, at most MaxNextItems and fewer if they do not fit. Behind the last item
	// of the playlist the first one follows. It is empty while the bot may not see the playlist.
	Next []QueuedMedia `json:"next"`
	// PlaylistItems is the number of items in the playlist, what plays included.
	PlaylistItems int `json:"playlist_items"`
	// Poll is the last poll since the bot joined, which may be over. Nil: there was none, or it does not fit.
	Poll *Poll `json:"poll,omitempty"`
}

// Poll is a question that people vote about.
type Poll struct {
	// Title and Options are plain text.
	Title   string   `json:"title"`
	Options []string `json:"options"`
	// Counts are the votes by option. Absent: the server hides them from the bot until the poll is closed.
	Counts []int `json:"counts,omitempty"`
	// Obscured reports whether the server hides the votes from most people until the poll is closed.
	Obscured bool `json:"obscured,omitempty"`
	// Initiator is who opened it, and Opened when, in milliseconds since 1970 UTC by the server's clock; 0: unknown.
	Initiator string `json:"initiator"`
	Opened    int64  `json:"opened_ms"`
	// Open is false if it was closed. Counts are then how it ended.
	Open bool `json:"open"`
}

// ChannelUser is somebody in a channel.
type ChannelUser struct {
	Name string `json:"name"`
	// Rank is 0 for a guest, 1 registered, 2 moderator, 3 administrator, 4 owner, 5 founder. It can be in between: a
	// leader has 1.5.
	Rank  float64 `json:"rank"`
	AFK   bool    `json:"afk,omitempty"`
	Muted bool    `json:"muted,omitempty"`
}

// PlayingMedia is what plays. At ChannelState.At it was at Position.
type PlayingMedia struct {
	// UID is that of the item of the playlist. 0: it is not known, since the bot may not see the playlist.
	UID int `json:"uid,omitempty"`
	Media
	// Position is in seconds, from 0 to Seconds. While the media is not paused it advances by one each second.
	Position float64 `json:"position"`
	Paused   bool    `json:"paused,omitempty"`
}

// QueuedMedia is an item of the playlist.
type QueuedMedia struct {
	// UID identifies the item in the events of the feed.
	UID int `json:"uid"`
	Media
}
