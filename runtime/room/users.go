package room

import (
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// Users are those in the channel with a name, by their name in lower case.
type Users map[string]cytube.User

// Find returns the user of a name in any case, and whether there is one.
func (u Users) Find(name string) (cytube.User, bool) {
	user, found := u[strings.ToLower(name)]
	return user, found
}

// Sorted returns the users sorted by name.
func (u Users) Sorted() []cytube.User {
	return slices.SortedFunc(maps.Values(u), func(a, b cytube.User) int { return strings.Compare(a.Name, b.Name) })
}

// add puts a user into the list, or replaces the entry of the same name, and reports whether the name is new.
func (u Users) add(user cytube.User) bool {
	key := strings.ToLower(user.Name)
	_, found := u[key]
	u[key] = user
	return !found
}

// remove takes a user off the list and reports whether the name was in it.
func (u Users) remove(name string) (cytube.User, bool) {
	user, found := u.Find(name)
	delete(u, strings.ToLower(name))
	return user, found
}

// update changes the entry of a user; for a name that is not in the list it does nothing.
func (u Users) update(name string, change func(*cytube.User)) {
	if user, found := u.Find(name); found {
		change(&user)
		u[strings.ToLower(name)] = user
	}
}

// missing returns those who are in the list but not among users, sorted by name.
func (u Users) missing(users []cytube.User) []cytube.User {
	rest := maps.Clone(u)
	for _, user := range users {
		rest.remove(user.Name)
	}
	return rest.Sorted()
}

func (u Users) apply(event cytube.Event) (change Change) {
	switch event := event.(type) {
	case cytube.AddUser:
		if u.add(event.User) {
			change.Joined = []cytube.User{event.User}
		}
	case cytube.UserLeave:
		if user, found := u.remove(event.Name); found {
			change.Left = []cytube.User{user}
		}
	case cytube.SetUserRank:
		u.update(event.Name, func(u *cytube.User) { u.Rank = event.Rank })
	case cytube.SetUserMeta:
		u.update(event.Name, func(u *cytube.User) { u.AFK, u.Muted = event.AFK, event.Muted })
	case cytube.SetAFK:
		u.update(event.Name, func(u *cytube.User) { u.AFK = event.AFK })
	}
	return change
}

// Permission is CyTube's name for something that needs a rank.
type Permission string

// The permissions that the bot checks.
const (
	PermissionChat         Permission = "chat"
	PermissionChatClear    Permission = "chatclear"
	PermissionKick         Permission = "kick"
	PermissionLeader       Permission = "leaderctl"
	PermissionSeePlaylist  Permission = "seeplaylist"
	PermissionAdd          Permission = "playlistadd"
	PermissionAddPermanent Permission = "addnontemp"
	PermissionAddLive      Permission = "playlistaddlive"
	PermissionAddList      Permission = "playlistaddlist"
	PermissionAddCustom    Permission = "playlistaddcustom"
	PermissionAddRawFile   Permission = "playlistaddrawfile"
	PermissionDelete       Permission = "playlistdelete"
	PermissionMove         Permission = "playlistmove"
	PermissionJump         Permission = "playlistjump"
	PermissionVoteskip     Permission = "voteskip"
)

// An unlocked playlist has wider permissions, which CyTube names by putting a letter in front of the usual name.
const (
	playlistPrefix = "playlist"
	unlockedPrefix = "o"
)

// permissions are the lowest ranks that may do something.
type permissions struct {
	// ranks is nil until the server has sent it.
	ranks map[string]float64
	// unlocked reports whether the playlist is open to users of lower ranks.
	unlocked bool
}

func (p *permissions) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Permissions:
		p.ranks = event.Ranks
	case cytube.PlaylistLocked:
		p.unlocked = !event.Locked
	}
}

func (p *permissions) allow(permission Permission, rank float64) bool {
	name := string(permission)
	if p.unlocked && strings.HasPrefix(name, playlistPrefix) && p.suffices(unlockedPrefix+name, rank) {
		return true
	}
	return p.suffices(name, rank)
}

func (p *permissions) suffices(name string, rank float64) bool {
	lowest, found := p.ranks[name]
	return found && rank >= lowest
}
