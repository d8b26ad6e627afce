package cytube

import "time"

var peopleDecoders = map[string]decoder{
	ChatMessage{}.EventName():  as(wireChat.event),
	PM{}.EventName():           as(wireChat.private),
	AddUser{}.EventName():      as(func(u wireUser) Event { return AddUser{User: u.user()} }),
	UserLeave{}.EventName():    as(func(u wireUser) Event { return UserLeave{Name: u.Name} }),
	UserList{}.EventName():     as(userList),
	UserCount{}.EventName():    as(func(count int) Event { return UserCount{Count: count} }),
	SetUserRank{}.EventName():  as(func(u wireUser) Event { return SetUserRank{Name: u.Name, Rank: u.Rank} }),
	SetUserMeta{}.EventName():  as(userMeta),
	SetAFK{}.EventName():       as(func(u wireAFK) Event { return SetAFK(u) }),
	Rank{}.EventName():         as(func(rank float64) Event { return Rank{Rank: rank} }),
	Login{}.EventName():        as(func(l wireLogin) Event { return Login(l) }),
	NeedPassword{}.EventName(): as(func(wrong bool) Event { return NeedPassword{Wrong: wrong} }),
	Kick{}.EventName():         as(func(k wireKick) Event { return Kick(k) }),
}

type wireChat struct {
	Username string  `json:"username"`
	Msg      string  `json:"msg"`
	Time     float64 `json:"time"` // Unix ms
	To       string  `json:"to"`   // of a private message
	Meta     struct {
		AddClass string `json:"addClass"`
		Shadow   bool   `json:"shadow"`
	} `json:"meta"`
}

func (c wireChat) event() Event {
	return ChatMessage{
		User: c.Username, HTML: c.Msg, Kind: c.Meta.AddClass, Shadow: c.Meta.Shadow, Time: chatTime(c.Time),
	}
}

func (c wireChat) private() Event {
	return PM{From: c.Username, To: c.To, HTML: c.Msg, Kind: c.Meta.AddClass, Time: chatTime(c.Time)}
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

type wireLogin struct {
	Success bool   `json:"success"`
	Name    string `json:"name"`
	Guest   bool   `json:"guest"`
	Error   string `json:"error"`
}

type wireKick struct {
	Reason string `json:"reason"`
}
