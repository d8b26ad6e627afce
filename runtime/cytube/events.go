package cytube

import (
	"encoding/json"
	"strings"
	"time"
)

// Event is an event from the server, one of the types in events.go and events_channel.go.
type Event interface {
	// EventName returns the name of the event on the wire.
	EventName() string
}

// Arrival is an event with what is known of its frame.
type Arrival struct {
	Event Event
	// Raw is the first argument of the event as the server sent it. Nil if there is none, and for Malformed and Joined.
	Raw json.RawMessage
	// At is when the frame was read.
	At time.Time
}

// User is an entry of the user list.
type User struct {
	Name string
	// Rank is -1 for anonymous, 0 guest, 1 registered, 2 moderator, 3 administrator, 4 owner, 5 founder. It can be in
	// between: a leader has 1.5.
	Rank float64
	AFK  bool
	// Muted is true for a mute that everybody sees, not for a shadow mute.
	Muted bool
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
		// Shadow is true for a line of a shadow-muted user, which only moderators receive.
		Shadow bool
		// Time is when the line was said, to the millisecond. It is zero if the server's time is invalid.
		Time time.Time
	}
	// PM is a private message to or from the bot.
	PM struct {
		From, To string
		// HTML, Kind and Time are as in ChatMessage.
		HTML string
		Kind string
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
		Name  string
		Guest bool
		// Error is the server's reason when Success is false.
		Error string
	}
	// NeedPassword asks for the password of the channel.
	NeedPassword struct {
		// Wrong is true if a wrong one was given.
		Wrong bool
	}
	// Kick is the reason for which the server is about to end the connection.
	Kick struct{ Reason string }
	// Unknown is an event without a type of its own. Its content is in Arrival.Raw.
	Unknown struct{ Name string }
	// Joined is not from the server: it follows the events that arrived while Dial joined and logged in. Chat before it
	// is what the server repeats on joining; chat after it is new.
	Joined struct {
		// Name is the bot's name as the server spells it, empty for an anonymous watcher.
		Name string
	}
	// Malformed replaces a frame that could not be decoded.
	Malformed struct{ Err *FrameError }
)

// EventName is "chatMsg".
func (ChatMessage) EventName() string { return "chatMsg" }

// EventName is "pm".
func (PM) EventName() string { return "pm" }

// EventName is "addUser".
func (AddUser) EventName() string { return "addUser" }

// EventName is "userLeave".
func (UserLeave) EventName() string { return "userLeave" }

// EventName is "userlist".
func (UserList) EventName() string { return "userlist" }

// EventName is "usercount".
func (UserCount) EventName() string { return "usercount" }

// EventName is "setUserRank".
func (SetUserRank) EventName() string { return "setUserRank" }

// EventName is "setUserMeta".
func (SetUserMeta) EventName() string { return "setUserMeta" }

// EventName is "setAFK".
func (SetAFK) EventName() string { return "setAFK" }

// EventName is "rank".
func (Rank) EventName() string { return "rank" }

// EventName is "login".
func (Login) EventName() string { return "login" }

// EventName is "needPassword".
func (NeedPassword) EventName() string { return "needPassword" }

// EventName is "kick".
func (Kick) EventName() string { return "kick" }

// EventName returns the name that the server used.
func (u Unknown) EventName() string { return u.Name }

// EventName is "joined", which is not the name of any event of the server.
func (Joined) EventName() string { return "joined" }

// EventName is "malformed", which is not the name of any event of the server.
func (Malformed) EventName() string { return "malformed" }

// The events with which the server rejects requests. It rejects many requests silently.
type (
	// ErrorMsg rejects a request; it does not say which.
	ErrorMsg struct{ Message string }
	// NoFlood rejects a line or a command. Action is CyTube's name for the request.
	NoFlood struct{ Action, Message string }
	// Cooldown rejects a line because of the flood limit.
	Cooldown struct {
		// Wait is the time until the server accepts the next line.
		Wait time.Duration
	}
	// SpamFiltered rejects a line because of its content, or because the account is too new.
	SpamFiltered struct{ Reason string }
)

// IsMute reports whether a line was rejected because the bot is muted. CyTube has no error code for it.
func (n NoFlood) IsMute() bool {
	return n.Action == "chat" && strings.Contains(strings.ToLower(n.Message), "muted")
}

// EventName is "errorMsg".
func (ErrorMsg) EventName() string { return "errorMsg" }

// EventName is "noflood".
func (NoFlood) EventName() string { return "noflood" }

// EventName is "cooldown".
func (Cooldown) EventName() string { return "cooldown" }

// EventName is "spamFiltered".
func (SpamFiltered) EventName() string { return "spamFiltered" }
