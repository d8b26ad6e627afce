package bot

import (
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// channel is what the bot knows about the channel it is in.
type channel struct {
	// self is our name there, empty for an anonymous watcher or before logging in.
	self  string
	rank  float64
	users userList
	// connected counts everybody, the nameless too; nil until the server said it.
	connected *int
	// chatRank is the least rank that may chat; nil until the server said it.
	chatRank *float64
	playlist int
	// title is empty when nothing plays.
	title   string
	seconds int
}

func newChannel() *channel {
	return &channel{rank: -1, users: userList{}}
}

// apply takes in what concerns only the state.
func (c *channel) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Rank:
		c.rank = event.Rank
	case cytube.Permissions:
		c.chatRank = &event.Chat
	case cytube.SetUserRank:
		c.users.change(event.Name, func(u *cytube.User) { u.Rank = event.Rank })
	case cytube.SetUserMeta:
		c.users.change(event.Name, func(u *cytube.User) { u.AFK, u.Muted = event.AFK, event.Muted })
	case cytube.SetAFK:
		c.users.change(event.Name, func(u *cytube.User) { u.AFK = event.AFK })
	case cytube.ChangeMedia:
		c.title, c.seconds = event.Title, event.Seconds
	case cytube.PlaylistMeta:
		c.playlist = event.Count
		if event.Count == 0 {
			// The server does not say that nothing plays any more, only that nothing is left.
			c.title, c.seconds = "", 0
		}
	}
}

// connectedUsers counts everybody. The server tells it at most every ten seconds, so the user list can
// be ahead of it; everybody in the list is connected.
func (c *channel) connectedUsers() int {
	if c.connected == nil {
		return len(c.users)
	}
	return max(*c.connected, len(c.users))
}

// mayChat is false for an anonymous watcher, a muted bot, and one whose rank is too low.
func (c *channel) mayChat() bool {
	return c.self != "" && c.chatRank != nil && c.rank >= *c.chatRank && !c.me().Muted
}

func (c *channel) me() cytube.User { return c.users[strings.ToLower(c.self)] }

func (c *channel) isMe(name string) bool { return c.self != "" && strings.EqualFold(name, c.self) }

// userList is everybody with a name, by lower-case name: the server takes two spellings for one user.
type userList map[string]cytube.User

// add is false for somebody who is in the list already; what is known about them is renewed.
func (l userList) add(user cytube.User) bool {
	key := strings.ToLower(user.Name)
	_, known := l[key]
	l[key] = user
	return !known
}

// remove is false for somebody who is not in the list.
func (l userList) remove(name string) (cytube.User, bool) {
	key := strings.ToLower(name)
	user, known := l[key]
	delete(l, key)
	return user, known
}

func (l userList) change(name string, change func(*cytube.User)) {
	if user, known := l[strings.ToLower(name)]; known {
		change(&user)
		l[strings.ToLower(name)] = user
	}
}

// missing are those in the list who are not among users, by name.
func (l userList) missing(users []cytube.User) []cytube.User {
	rest := maps.Clone(l)
	for _, user := range users {
		rest.remove(user.Name)
	}
	return rest.sorted()
}

func (l userList) sorted() []cytube.User {
	users := make([]cytube.User, 0, len(l))
	for _, user := range l {
		users = append(users, user)
	}
	slices.SortFunc(users, func(a, b cytube.User) int { return strings.Compare(a.Name, b.Name) })
	return users
}
