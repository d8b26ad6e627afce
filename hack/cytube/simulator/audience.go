package simulator

import (
	"errors"
	"fmt"
)

// Errors of the audience's methods, for errors.Is.
var (
	ErrInvalidName = errors.New("invalid name")
	ErrNameInUse   = errors.New("name in use")
	ErrNotInside   = errors.New("not in the channel's audience")
	ErrRefused     = errors.New("refused by the server")
	// ErrNotInChannel is of what is done to anybody in the user list, where ErrNotInside is of what the audience does.
	ErrNotInChannel = errors.New("not in the channel")
)

// User is somebody in a channel's user list.
type User struct {
	Name string  `json:"name"`
	Rank float64 `json:"rank"`
}

// Join lets somebody connect to the channel and log in: with their account's rank if the name has one (no password
// is needed), else as a guest. Clients see usercount, then addUser.
func (c *Channel) Join(user string) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if !validUserName.MatchString(user) {
		return fmt.Errorf("user %q: %w: expected 1-20 of a-z, A-Z, 0-9, - and _", user, ErrInvalidName)
	}
	if c.named(user) != nil {
		return fmt.Errorf("user %q in channel %s: %w", user, c.name, ErrNameInUse)
	}
	person := c.newPerson()
	c.accept(person)
	account := c.srv.account(user)
	if account != nil {
		user = account.Name
	}
	person.enter(user, account)
	if person.gone {
		return fmt.Errorf("user %q in channel %s: %w: banned", user, c.name, ErrRefused)
	}
	return nil
}

// Lurk lets somebody connect without logging in. They count in usercount until leave is called.
func (c *Channel) Lurk() (leave func()) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	person := c.newPerson()
	c.accept(person)
	return func() {
		c.srv.mu.Lock()
		defer c.srv.mu.Unlock()
		person.disconnect()
	}
}

// newPerson makes somebody of the audience, with an address of their own.
func (c *Channel) newPerson() *client {
	c.srv.people++
	person := newClient(c.srv, nil, fmt.Sprintf("audience-%d", c.srv.people))
	person.joinAsked, person.channel = true, c
	return person
}

// Leave disconnects somebody of the audience. Clients see userLeave, then usercount.
func (c *Channel) Leave(user string) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	person, err := c.person(user)
	if err != nil {
		return err
	}
	person.disconnect()
	return nil
}

// Users returns the user list, in the order people connected.
func (c *Channel) Users() []User {
	users, _ := c.present()
	return users
}

// Connections returns how many are connected to the channel, the anonymous among them.
func (c *Channel) Connections() int {
	_, connections := c.present()
	return connections
}

// present returns the user list and the number of connections of the same moment.
func (c *Channel) present() ([]User, int) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	users := []User{}
	for _, m := range c.members {
		if m.name != "" {
			users = append(users, User{Name: m.name, Rank: m.rank()})
		}
	}
	return users, len(c.members)
}

// person finds one of the audience; somebody on a socket speaks for themselves.
func (c *Channel) person(user string) (*client, error) {
	m := c.named(user)
	if m == nil || m.conn != nil {
		return nil, fmt.Errorf("user %q, channel %s: %w", user, c.name, ErrNotInside)
	}
	return m, nil
}
