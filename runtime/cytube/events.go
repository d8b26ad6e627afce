package cytube

import (
	"encoding/json"
	"strings"
	"time"
)

// Event is an event from the server: a value of one of the types in events.go. decode.go has their names on the wire.
type Event any

// ReceivedEvent is an event with what is known of its frame.
type ReceivedEvent struct {
	// Name is the name of the event on the wire, such as "chatMsg". Empty for Malformed and Joined.
	Name  string
	Event Event
	// Raw is the first argument of the event as the server sent it. Nil if there is none, and for Malformed and Joined.
	Raw json.RawMessage
	// At is when the frame was read.
	At time.Time
}

// ModeratorRank is the lowest rank in a channel that CyTube treats as a moderator. It needs no channel password.
const ModeratorRank = 2

// User is an entry of the user list.
type User struct {
	Name string `json:"name"`
	// Rank is -1 for anonymous, 0 guest, 1 registered, 2 moderator, 3 administrator, 4 owner, 5 founder. It can be in
	// between: a leader has 1.5.
	Rank float64 `json:"rank"`
	AFK  bool    `json:"afk"`
	// Muted reports whether the user is muted so that everybody sees it, not shadow-muted.
	Muted bool `json:"muted"`
}

type (
	// ChatMessage is a line of chat: a new one, or one of the last lines that the server repeats on joining.
	ChatMessage struct {
		// User is the author. Pseudo-users of the server have brackets in their names: "[server]".
		User string
		// HTML is the text, escaped by the server and with links and emphasis added; see PlainText.
		HTML string
		// Kind is the line's CSS class (meta.addClass), e.g. "action" for /me. Usually empty.
		Kind string
		// Shadow marks a line of a shadow-muted user, which only moderators receive.
		Shadow bool
		// Time is when the line was said, to the millisecond. It is zero if the server's time is invalid.
		Time time.Time
	}
	// PM is a private message to or from the bot.
	PM struct {
		From, To string
		// HTML and Time are as in ChatMessage.
		HTML string
		Time time.Time
	}
	// AddUser announces a user who joined or logged in.
	AddUser struct{ User User }
	// UserLeave announces a user who left.
	UserLeave struct{ Name string }
	// UserList is all users with a name. It comes on joining, and again when the bot's rank lets it see more of them.
	UserList struct{ Users []User }
	// UserCount is the number of connected users, the anonymous included.
	UserCount struct{ Count int }
	// SetUserRank changes the rank of a user.
	SetUserRank struct {
		Name string
		Rank float64
	}
	// SetUserMeta changes the flags of a user.
	SetUserMeta struct {
		Name       string
		AFK, Muted bool
	}
	// SetAFK marks a user as away from keyboard, or back.
	SetAFK struct {
		Name string
		AFK  bool
	}
	// Rank is the bot's own rank: on login first the global one, then that in the channel.
	Rank struct{ Rank float64 }
	// Login answers a login.
	Login struct {
		Success bool
		// Name is the bot's name as the server spells it.
		Name string
		// Error is the server's reason when Success is false.
		Error string
	}
	// NeedPassword asks for the password of the channel.
	NeedPassword struct {
		// Wrong reports whether the client gave a wrong one. Otherwise it gave none.
		Wrong bool
	}
	// Kick is the reason for which the server is about to end the connection.
	Kick struct{ Reason string }
	// Unknown is an event without a type of its own, because nothing reads it. ReceivedEvent has its name and raw content.
	Unknown struct{}
	// Joined is not from the server: it follows the events that arrived while Dial joined and logged in. Chat before it
	// is what the server repeats on joining; chat after it is new.
	Joined struct {
		// Name is the bot's name as the server spells it, empty for an anonymous watcher.
		Name string
	}
	// Malformed replaces a frame that could not be decoded.
	Malformed struct{ Err *FrameError }
)

// The events with which the server refuses requests. It refuses many requests silently.
type (
	// ErrorMsg refuses a request; it does not say which.
	ErrorMsg struct{ Message string }
	// NoFlood refuses a line or a command. Action is CyTube's name for the request.
	NoFlood struct{ Action, Message string }
	// Cooldown refuses a line because of the flood limit.
	Cooldown struct {
		// Wait is the time until the server accepts the next line.
		Wait time.Duration
	}
	// SpamFiltered refuses a line because of its content, or because the account is too new.
	SpamFiltered struct{ Reason string }
)

// IsMute reports whether a line was refused because the bot is muted. CyTube has no error code for it.
func (n NoFlood) IsMute() bool {
	return n.Action == "chat" && strings.Contains(strings.ToLower(n.Message), "muted")
}

// Media is a video, live stream or media file.
type Media struct {
	// ID is the provider's ID of it, or a URL.
	ID string
	// Type is CyTube's two-letter name of the provider, e.g. "yt".
	Type  string
	Title string
	// Seconds is 0 for a live stream.
	Seconds int
}

// IsOf reports whether media of an Item are those that were sent with Enqueue, as far as it can be told: the ID of an
// Item is cut.
func (m Media) IsOf(sent Media) bool { return m.Type == sent.Type && m.ID == cut(sent.ID, maxItemID) }

// Item is an item of the playlist.
type Item struct {
	UID   int
	Media Media
	// QueuedBy is the user who added it.
	QueuedBy string
}

// Place is a position in the playlist: after the item with that UID, or at one of the ends.
type Place struct {
	UID         int
	First, Last bool
}

type (
	// Playlist is the whole playlist. Only users who may see it receive it.
	Playlist struct{ Items []Item }
	// PlaylistMeta is the number of items in the playlist. Everybody receives it.
	PlaylistMeta struct{ Count int }
	// PlaylistLocked locks or unlocks the playlist: an unlocked one has permissions of its own, which are wider.
	PlaylistLocked struct{ Locked bool }
	// Queue adds an item.
	Queue struct {
		Item  Item
		After Place
	}
	// QueueFail refuses an item that the bot wanted to add. ID is the one that it sent, or empty.
	QueueFail struct{ ID, Message string }
	// Delete removes an item.
	Delete struct{ UID int }
	// MoveVideo moves an item.
	MoveVideo struct {
		UID   int
		After Place
	}
	// SetCurrent changes the current item.
	SetCurrent struct{ UID int }
	// ChangeMedia starts playing another medium.
	ChangeMedia struct {
		Media Media
		// Position is in seconds. It is negative while players load.
		Position float64
		Paused   bool
	}
	// MediaUpdate is the position of what plays, sent every few seconds.
	MediaUpdate struct {
		Position float64 // seconds
		Paused   bool
	}
	// SetLeader changes the leader of playback. Empty: the server leads.
	SetLeader struct{ Name string }
	// Voteskip announces that the number of votes to skip the current item changed, or the number needed.
	Voteskip struct{}
)

// FloodLimit accepts Burst lines at once and then Sustained lines a second. After Cooldown without a line, Burst lines
// are accepted again.
type FloodLimit struct {
	Burst     int
	Sustained float64
	Cooldown  time.Duration
}

// PollState is a poll as the server shows it.
type PollState struct {
	// Title and Options are HTML; see PlainText.
	Title   string
	Options []string
	// Votes are by option. Nil: the server hides them from the bot.
	Votes []int
	// Obscured reports whether the server hides the votes from most users until the poll is closed.
	Obscured bool
	// By is who opened it, and Opened when, the zero time if the server's time is invalid.
	By     string
	Opened time.Time
}

type (
	// Permissions are the lowest ranks that may do something, by CyTube's names such as "chat" or "playlistadd".
	Permissions struct{ Ranks map[string]float64 }
	// ChannelOptions are those options of the channel that the bot uses.
	ChannelOptions struct {
		AllowVoteskip bool
		// Flood limits the lines of users below moderator. Nil: no limit besides that of the server.
		Flood *FloodLimit
	}
	// NewPoll announces a poll, also to who joins while one is open.
	NewPoll PollState
	// PollUpdate has the votes of the poll that is open.
	PollUpdate PollState
	// PollClosed announces that the poll was closed. Votes that were hidden have come in a PollUpdate before.
	PollClosed struct{}
	// ClearChat clears the chat.
	ClearChat struct{ By string }
)
