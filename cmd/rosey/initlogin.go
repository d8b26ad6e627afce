package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

const (
	// loginTimeout bounds one attempt to join the channel.
	loginTimeout = 30 * time.Second
	// maxLogins is how often the login is tried with other answers of the person.
	maxLogins = 3
)

// login tries to join the channel as the bot will. A person whose answers the server refuses is asked again.
func (s *setup) login(ctx context.Context) error {
	for attempt := 1; !s.skipLogin; attempt++ {
		options := cytube.Options{
			Server: s.values["channel.server"], Channel: s.values["channel.name"], ChannelPassword: s.channelPassword,
			Username: s.values["account.username"], Password: s.accountPassword,
		}
		refused := s.tryLogin(ctx, options)
		if refused == nil {
			return exit.Failed(printf(s.out, "The bot can join %s on %s.\n", options.Channel, options.Server))
		}
		askAgain := s.correction(refused)
		if askAgain == nil || attempt == maxLogins {
			return exit.Failed(fmt.Errorf("%w; --%s goes on without trying the login", refused, skipLoginFlag))
		}
		if err := printf(s.terminal.out, "  %s\n", status.Printable(refused.Error())); err != nil {
			return exit.Failed(err)
		}
		if err := askAgain(ctx); err != nil {
			return err
		}
	}
	return nil
}

// correction returns the question to which another answer may help after a refusal. It is nil if there is none, or if
// the answer was given by a flag.
func (s *setup) correction(refused error) func(ctx context.Context) error {
	known, ok := errors.AsType[*loginError](refused)
	if !ok || s.terminal == nil {
		return nil
	}
	switch known.reason {
	case status.ReasonChannelPasswordWrong:
		if s.channelPasswordFile == "" {
			return s.typeChannelPassword
		}
	case status.ReasonLoginRefused, status.ReasonNameTaken:
		if !s.flags.Changed("username") {
			return s.askAccount
		}
		if s.passwordFile == "" && !s.guest {
			return func(ctx context.Context) error { return s.askPassword(ctx, s.values["account.username"]) }
		}
	case status.ReasonChannelRefused:
		if !s.flags.Changed("channel") {
			return s.askChannel
		}
	default:
	}
	return nil
}

func (s *setup) typeChannelPassword(ctx context.Context) (err error) {
	s.channelPassword, err = s.typePassword(ctx, "Password of the channel "+s.values["channel.name"])
	return err
}

// loginError is why the bot cannot join, in the words of the bot's status.
type loginError struct {
	reason  status.Reason
	message string
}

func (e *loginError) Error() string { return e.message }

// tryLogin joins a channel as a bot does, and leaves it.
func (s *setup) tryLogin(ctx context.Context, options cytube.Options) error {
	if s.terminal != nil { // a person waits
		_, _ = fmt.Fprintf(s.terminal.out, "Joining %s on %s…\n", options.Channel, options.Server)
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	conn, err := cytube.Dial(ctx, options)
	if refused, ok := errors.AsType[*cytube.Error](err); ok {
		return &loginError{reason: refused.Reason, message: refused.Message}
	}
	if err != nil {
		return fmt.Errorf("trying the login: %w", err)
	}
	conn.Leave(ctx) // with which all that the server has said of the channel is here
	for {
		event, err := conn.Next(ctx)
		if err != nil {
			return nil // the connection is closed: there are no more events
		}
		if event.Name == unregisteredEvent {
			return &loginError{reason: status.ReasonChannelRefused, message: fmt.Sprintf(
				"there is no channel %s on %s: nobody has registered it", options.Channel, options.Server)}
		}
	}
}

// unregisteredEvent is what CyTube sends to whoever joins a channel that does not exist: it makes one that is gone when
// the last person leaves it.
const unregisteredEvent = "channelNotRegistered"
