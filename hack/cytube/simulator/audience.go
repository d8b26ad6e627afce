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
	// ErrNotInChannel is the error of methods that act on any user, ErrNotInside that of methods that act for the
	// audience.
	ErrNotInChannel = errors.New("not in the channel")
)

// User is a user in a channel's user list.
type User struct {
	Name string  `json:"name"`
	Rank float64 `json:"rank"`
}

// Join lets a person connect to the channel and log in: with their account's rank if there is an account of that name
// (no password is needed), otherwise as a guest. Clients see usercount, then addUser.
func (c *Channel) Join(user string) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if err := c.mayEnter(user); err != nil {
		return err
	}
	person := c.newPerson()
	c.accept(person)
	return person.enterAs(user)
}

// Visitor is a person of the audience who has not logged in yet. Visitors count in usercount.
type Visitor struct{ person *client }

// Visit lets a person connect to the channel without logging in.
func (c *Channel) Visit() Visitor {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	person := c.newPerson()
	c.accept(person)
	return Visitor{person}
}

// Login logs the visitor in, as Join does, except that a user who already has the name is kicked for the duplicate
// login.
func (v Visitor) Login(user string) error {
	v.person.srv.mu.Lock()
	defer v.person.srv.mu.Unlock()
	if !validUserName.MatchString(user) {
		return invalidUser(user)
	}
	if v.person.gone || v.person.name != "" {
		return fmt.Errorf("login as %q: %w: the visitor left, or is logged in", user, ErrNotInside)
	}
	return v.person.enterAs(user)
}

// Leave disconnects the visitor. Further calls do nothing.
func (v Visitor) Leave() {
	v.person.srv.mu.Lock()
	defer v.person.srv.mu.Unlock()
	v.person.disconnect()
}

func invalidUser(user string) error {
	return fmt.Errorf("user %q: %w: expected 1-20 of a-z, A-Z, 0-9, - and _", user, ErrInvalidName)
}

func (c *Channel) mayEnter(user string) error {
	if !validUserName.MatchString(user) {
		return invalidUser(user)
	}
	if c.named(user) != nil {
		return fmt.Errorf("user %q in channel %s: %w", user, c.name, ErrNameInUse)
	}
	return nil
}

// enterAs logs a person of the audience in.
func (c *client) enterAs(user string) error {
	account := c.srv.account(user)
	if account != nil {
		user = account.Name
	}
	c.enter(user, account)
	if c.gone {
		return fmt.Errorf("user %q in channel %s: %w: banned", user, c.channel.name, ErrRefused)
	}
	return nil
}

// newPerson returns a new person of the audience, with a unique address.
func (c *Channel) newPerson() *client {
	c.srv.people++
	person := newClient(c.srv, nil, fmt.Sprintf("audience-%d", c.srv.people))
	person.joinAsked, person.channel = true, c
	return person
}

// Leave disconnects a person of the audience. Clients see userLeave, then usercount.
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

// Users returns the user list, in the order in which users connected.
func (c *Channel) Users() []User {
	users, _ := c.present()
	return users
}

// Connections returns the number of connections to the channel, including anonymous ones.
func (c *Channel) Connections() int {
	_, connections := c.present()
	return connections
}

// present returns the user list and the number of connections at the same time.
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

// person returns a person of the audience. Users on a socket do not belong to it.
func (c *Channel) person(user string) (*client, error) {
	m := c.named(user)
	if m == nil || m.conn != nil {
		return nil, fmt.Errorf("user %q, channel %s: %w", user, c.name, ErrNotInside)
	}
	return m, nil
}
