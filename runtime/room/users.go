package room

import (
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// Users are those in the channel with a name, by their name in lower case.
type Users map[string]cytube.User

// maxUsers bounds the list. A server that sends more is not one of people; those above it are not in the list.
const maxUsers = 10_000

// Find returns the user of a name in any case, and whether there is one.
func (u Users) Find(name string) (cytube.User, bool) {
	user, found := u[strings.ToLower(name)]
	return user, found
}

// Sorted returns the users sorted by name.
func (u Users) Sorted() []cytube.User {
	return slices.SortedFunc(maps.Values(u), func(a, b cytube.User) int { return strings.Compare(a.Name, b.Name) })
}

// add puts a user into the list, or replaces the entry of the same name, and reports whether the name is new in the
// list. It does not add to a full list.
func (u Users) add(user cytube.User) bool {
	key := strings.ToLower(user.Name)
	_, found := u[key]
	if !found && len(u) >= maxUsers {
		return false
	}
	u[key] = user
	return !found
}

// remove takes a user off the list and returns the user, and whether the name was in the list.
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

// RankName returns CyTube's name for a rank. It is empty for ordinary users.
func RankName(rank float64) string {
	for _, named := range []struct {
		min  float64
		name string
	}{{255, "site admin"}, {5, "founder"}, {4, "owner"}, {3, "admin"}, {2, "moderator"}, {1.5, "leader"}} {
		if rank >= named.min {
			return named.name
		}
	}
	return ""
}
