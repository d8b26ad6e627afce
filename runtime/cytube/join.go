package cytube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

type joinRequest struct {
	Name     string `json:"name"`
	Password string `json:"pw,omitempty"`
}

// join joins the channel and logs in. Next returns the events that arrive meanwhile.
func (c *Conn) join(ctx context.Context, options Options) error {
	answer, err := c.enter(ctx, options)
	if err != nil {
		return c.explain(err, "joining channel "+options.Channel)
	}
	refusal, refused := answer.(NeedPassword)
	if refused && options.Password == "" {
		return passwordError(options.Channel, refusal.Wrong) // only accounts can be moderators
	}
	if options.Username == "" {
		return nil
	}
	if err := c.login(ctx, options); err != nil {
		return c.explain(err, "logging in as "+options.Username)
	}
	if refused {
		return c.enterAsModerator(ctx, passwordError(options.Channel, refusal.Wrong))
	}
	return nil
}

// enter asks to join the channel and waits for the answer: the UserList, or NeedPassword if the server wants another
// channel password. There is no acknowledgement; the server sends the state of the channel instead. Of that, only the
// user list always comes, and at once: the number of users follows up to ten seconds later.
func (c *Conn) enter(ctx context.Context, options Options) (answer Event, err error) {
	request := joinRequest{Name: options.Channel, Password: options.ChannelPassword}
	if err := c.request(ctx, "joinChannel", request); err != nil {
		return nil, err
	}
	for {
		event, err := c.nextWhileJoining(ctx)
		if err != nil {
			return nil, err
		}
		switch event.(type) {
		case UserList, NeedPassword:
			return event, nil
		}
	}
}

// enterAsModerator waits after the login of an account without the right channel password. The server sends the account
// its rank in the channel, and admits it if it is a moderator there. To others it sends nothing more: the result is
// noPassword.
func (c *Conn) enterAsModerator(ctx context.Context, noPassword *Error) error {
	for {
		event, err := c.nextWhileJoining(ctx)
		if err != nil && ctx.Err() != nil {
			return noPassword // a server that fails to load the rank sends nothing either
		}
		if err != nil {
			return c.explain(err, "entering as a moderator")
		}
		switch event := event.(type) {
		case UserList:
			return nil
		case Rank:
			if event.Rank < ModeratorRank {
				return noPassword
			}
		}
	}
}

func (c *Conn) login(ctx context.Context, options Options) error {
	if options.MayLogin != nil && !options.MayLogin() {
		return &Error{Reason: status.ReasonLockUnavailable, Message: "leadership ended before the login"}
	}
	request := joinRequest{Name: options.Username, Password: options.Password}
	if err := c.request(ctx, "login", request); err != nil {
		return err
	}
	for {
		event, err := c.nextWhileJoining(ctx)
		if err != nil {
			return err
		}
		answer, ok := event.(Login)
		if !ok {
			continue
		}
		if !answer.Success {
			return loginError(options.Username, withoutSecret(answer.Error, options.Password))
		}
		if !strings.EqualFold(answer.Name, options.Username) {
			// With the name of somebody else the bot would take their lines for its own.
			return loginError(options.Username, "the server says that the bot is "+answer.Name)
		}
		c.name = answer.Name
		return nil
	}
}

// request sends an event of the join. If that fails, it returns why the connection has ended: the server may have
// kicked the bot before it closed the connection, and that is the cause.
func (c *Conn) request(ctx context.Context, name string, argument any) error {
	err := c.send(ctx, name, argument)
	for err != nil {
		if _, ended := c.next(ctx); ctx.Err() != nil {
			return err
		} else if ended != nil {
			return ended
		}
	}
	return nil
}

func (c *Conn) nextWhileJoining(ctx context.Context) (Event, error) {
	received, err := c.next(ctx)
	if err != nil {
		return nil, err
	}
	c.joiningSize += received.size()
	if c.joiningSize > maxJoining || len(c.joining) == maxJoiningEvents {
		return nil, unreachable(hostOf(c.address)+" sends too much before the bot has joined", errTooLong)
	}
	c.joining = append(c.joining, received)
	return received.Event, nil
}

// explain returns the *Error for an error in a step of the join.
func (c *Conn) explain(err error, step string) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return unreachable(fmt.Sprintf("%s does not answer %s", hostOf(c.address), step), err)
}
