package bot

import (
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// userList is everybody with a name, by lower-case name: the server takes two spellings for one user.
type userList map[string]cytube.User

func (l userList) find(name string) (cytube.User, bool) {
	user, known := l[strings.ToLower(name)]
	return user, known
}

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

// apply takes in what changes about somebody. Who comes and goes is the session's to tell others of.
func (l userList) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.SetUserRank:
		l.change(event.Name, func(u *cytube.User) { u.Rank = event.Rank })
	case cytube.SetUserMeta:
		l.change(event.Name, func(u *cytube.User) { u.AFK, u.Muted = event.AFK, event.Muted })
	case cytube.SetAFK:
		l.change(event.Name, func(u *cytube.User) { u.AFK = event.AFK })
	}
}
