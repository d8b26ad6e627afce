package cytube

import (
	"encoding/json"
	"time"
)

// Event is something that the server told us: one of the types of this package's files events….go.
type Event interface {
	// EventName is the name of the event on the wire.
	EventName() string
}

// Arrival is an event as Next hands it over.
type Arrival struct {
	Event Event
	// Raw is the event's first argument as the server sent it. Nil: none, malformed, or Joined.
	Raw json.RawMessage
	// At is when the frame was read.
	At time.Time
}

// User is somebody in the user list.
type User struct {
	Name string
	// Rank is -1 anonymous, 0 guest, 1 registered, 2 moderator, 3 administrator, 4 owner, 5 founder.
	// It can be in between: a leader has 1.5.
	Rank float64
	AFK  bool
	// Muted is what everybody is told; a shadow mute is not shown here.
	Muted bool
}

type (
	// ChatMessage is a line of chat: a new one, or one of the last that everybody who joins gets.
	ChatMessage struct {
		// User is who said it. Pseudo-users of the server have brackets in their names: "[server]".
		User string
		// HTML is the text as the server made it: escaped, with links and emphasis.
		HTML string
		// Kind is the line's CSS class (meta.addClass), e.g. "action" for /me. Usually empty.
		Kind string
		// Shadow marks what somebody says who is muted without knowing: only moderators get to see it.
		Shadow bool
		// Time is when it was said, in milliseconds. It is zero when the server's time makes no sense.
		Time time.Time
	}
	// PM is a private message, to us or from us.
	PM struct {
		From, To string
		// HTML, Kind and Time are as in ChatMessage.
		HTML string
		Kind string
		Time time.Time
	}
	// AddUser says that somebody came, or logged in.
	AddUser struct{ User User }
	// UserLeave says that somebody left.
	UserLeave struct{ Name string }
	// UserList is everybody with a name. It comes on joining and again when we may see more of them.
	UserList struct{ Users []User }
	// UserCount counts everybody connected, the nameless too.
	UserCount struct{ Count int }
	// SetUserRank says what somebody's rank is now.
	SetUserRank struct {
		Name string
		Rank float64
	}
	// SetUserMeta says what is known about somebody now.
	SetUserMeta struct {
		Name       string
		AFK, Muted bool
	}
	// SetAFK says that somebody went away from the keyboard or came back.
	SetAFK struct {
		Name string
		AFK  bool
	}
	// Rank is our own rank: on logging in first the global one, then the channel's.
	Rank struct{ Rank float64 }
	// Login answers a login.
	Login struct {
		Success bool
		// Name is our name as the server spells it.
		Name  string
		Guest bool
		// Error is the server's reason when Success is false.
		Error string
	}
	// NeedPassword says that the channel wants a password.
	NeedPassword struct {
		// Wrong is true when one was given.
		Wrong bool
	}
	// Kick says why the server is about to end the connection.
	Kick struct{ Reason string }
	// Unknown is an event that nothing here needs. Its content is in Arrival.Raw.
	Unknown struct {
		Name string
		// Size of the first argument in bytes.
		Size int
	}
	// Joined is not from the server: it stands behind what came while Dial joined and logged in. Chat
	// before it is what the server repeats to everyone who joins; chat behind it is new.
	Joined struct {
		// Name is ours as the server spells it, empty for an anonymous watcher.
		Name string
	}
	// Malformed stands for a frame that could not be read.
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

// EventName is the name that the server used.
func (u Unknown) EventName() string { return u.Name }

// EventName is "joined", which no event of the server is called.
func (Joined) EventName() string { return "joined" }

// EventName is "malformed", which no event of the server is called.
func (Malformed) EventName() string { return "malformed" }
