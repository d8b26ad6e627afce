package cytube

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// decodeEvent reads an event packet's payload. A name that is not known is an Unknown, not an error:
// the server has some sixty events and gets new ones. The error is a *FrameError.
func decodeEvent(payload []byte) (Event, error) {
	name, argument, err := splitEvent(payload)
	if err != nil {
		return nil, err
	}
	decode, known := decoders[name]
	if !known {
		return Unknown{Name: name, Size: len(argument)}, nil
	}
	event, err := decode(argument)
	if err != nil {
		return nil, &FrameError{Kind: name, Size: len(argument)}
	}
	return event, nil
}

var decoders = map[string]func(json.RawMessage) (Event, error){
	ChatMessage{}.EventName():  as(wireChat.event),
	AddUser{}.EventName():      as(func(u wireUser) Event { return AddUser{User: u.user()} }),
	UserLeave{}.EventName():    as(func(u wireUser) Event { return UserLeave{Name: u.Name} }),
	UserList{}.EventName():     as(userList),
	UserCount{}.EventName():    as(func(count int) Event { return UserCount{Count: count} }),
	SetUserRank{}.EventName():  as(func(u wireUser) Event { return SetUserRank{Name: u.Name, Rank: u.Rank} }),
	SetUserMeta{}.EventName():  as(userMeta),
	SetAFK{}.EventName():       as(func(u wireAFK) Event { return SetAFK(u) }),
	Rank{}.EventName():         as(func(rank float64) Event { return Rank{Rank: rank} }),
	Permissions{}.EventName():  as(func(p wirePermissions) Event { return Permissions(p) }),
	Login{}.EventName():        as(func(l wireLogin) Event { return Login(l) }),
	NeedPassword{}.EventName(): as(func(wrong bool) Event { return NeedPassword{Wrong: wrong} }),
	Kick{}.EventName():         as(func(k wireKick) Event { return Kick(k) }),
	ChangeMedia{}.EventName():  as(func(m wireMedia) Event { return ChangeMedia{m.Title, int(m.Seconds)} }),
	PlaylistMeta{}.EventName(): as(func(p wirePlaylist) Event { return PlaylistMeta(p) }),
	ErrorMsg{}.EventName():     as(func(e wireRefusal) Event { return ErrorMsg{Message: e.Msg} }),
	NoFlood{}.EventName():      as(func(e wireRefusal) Event { return NoFlood{Action: e.Action, Message: e.Msg} }),
}

// as makes a decoder out of the shape of an event's argument and how the event is made from it.
func as[Wire any](event func(Wire) Event) func(json.RawMessage) (Event, error) {
	return func(argument json.RawMessage) (Event, error) {
		var wire *Wire
		if err := json.Unmarshal(argument, &wire); err != nil {
			return nil, fmt.Errorf("decoding the argument: %w", err)
		}
		if wire == nil {
			return nil, errors.New("decoding the argument: it is null")
		}
		return event(*wire), nil
	}
}

type wireChat struct {
	Username string  `json:"username"`
	Msg      string  `json:"msg"`
	Time     float64 `json:"time"` // Unix ms
	Meta     struct {
		AddClass string `json:"addClass"`
	} `json:"meta"`
}

func (c wireChat) event() Event {
	return ChatMessage{User: c.Username, HTML: c.Msg, Kind: c.Meta.AddClass, Time: chatTime(c.Time)}
}

// maxMillis is the end of the year 9999, the last that dates on the wire and in databases know.
const maxMillis = 253402300799_000

func chatTime(ms float64) time.Time {
	if ms <= 0 || ms > maxMillis {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

type wireUser struct {
	Name string  `json:"name"`
	Rank float64 `json:"rank"`
	Meta struct {
		AFK   bool `json:"afk"`
		Muted bool `json:"muted"`
	} `json:"meta"`
}

func (u wireUser) user() User {
	return User{Name: u.Name, Rank: u.Rank, AFK: u.Meta.AFK, Muted: u.Meta.Muted}
}

func userList(list []wireUser) Event {
	users := make([]User, 0, len(list))
	for _, u := range list {
		users = append(users, u.user())
	}
	return UserList{Users: users}
}

func userMeta(u wireUser) Event {
	return SetUserMeta{Name: u.Name, AFK: u.Meta.AFK, Muted: u.Meta.Muted}
}

type wireAFK struct {
	Name string `json:"name"`
	AFK  bool   `json:"afk"`
}

type wirePermissions struct {
	Chat float64 `json:"chat"`
}

type wireLogin struct {
	Success bool   `json:"success"`
	Name    string `json:"name"`
	Guest   bool   `json:"guest"`
	Error   string `json:"error"`
}

type wireKick struct {
	Reason string `json:"reason"`
}

type wireMedia struct {
	Title   string  `json:"title"`
	Seconds float64 `json:"seconds"`
}

type wirePlaylist struct {
	Count int `json:"count"`
}

type wireRefusal struct {
	Action string `json:"action"`
	Msg    string `json:"msg"`
}
