package cytube

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

type joinRequest struct {
	Name     string `json:"name"`
	Password string `json:"pw,omitempty"`
}

// join enters the channel and logs in. Everything that comes meanwhile is kept for Next.
func (c *Conn) join(ctx context.Context, options Options) error {
	answer, err := c.enter(ctx, options)
	if err != nil {
		return c.explain(err, "joining channel "+options.Channel)
	}
	asked, outside := answer.(NeedPassword)
	if outside && options.Password == "" {
		return passwordError(options.Channel, asked.Wrong) // nobody without an account is a moderator
	}
	if options.Username == "" {
		return nil
	}
	if err := c.login(ctx, options); err != nil {
		return c.explain(err, "logging in as "+options.Username)
	}
	if outside {
		return c.enterAsModerator(ctx, passwordError(options.Channel, asked.Wrong))
	}
	return nil
}

// enter joins the channel. The server does not acknowledge it: that it tells the channel's state is
// the answer. The user list is awaited because it always comes; the number of users comes after it,
// and up to ten seconds later when it was broadcast just before.
//
// The answer is the UserList, or NeedPassword of a server that keeps us at the door.
func (c *Conn) enter(ctx context.Context, options Options) (answer Event, err error) {
	request := joinRequest{Name: options.Channel, Password: options.ChannelPassword}
	if err := c.send(ctx, "joinChannel", request); err != nil {
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

// moderatorRank is from which rank in the channel somebody needs no channel password.
const moderatorRank = 2

// enterAsModerator waits at the door after the login. The server tells an account its rank in the channel,
// and lets in who is a moderator there; to others it says nothing more.
func (c *Conn) enterAsModerator(ctx context.Context, missing *Error) error {
	for {
		event, err := c.nextWhileJoining(ctx)
		if err != nil && ctx.Err() != nil {
			return missing // a server that does not find the rank is as silent
		}
		if err != nil {
			return c.explain(err, "entering as a moderator")
		}
		switch event := event.(type) {
		case UserList:
			return nil
		case Rank:
			if event.Rank < moderatorRank {
				return missing
			}
		}
	}
}

func (c *Conn) login(ctx context.Context, options Options) error {
	if options.MayLogin != nil && !options.MayLogin() {
		return &Error{Reason: status.ReasonLockUnavailable, Message: "the lock ran out before logging in"}
	}
	request := joinRequest{Name: options.Username, Password: options.Password}
	if err := c.send(ctx, "login", request); err != nil {
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
			return loginError(options.Username, answer.Error)
		}
		c.name = answer.Name
		return nil
	}
}

func (c *Conn) nextWhileJoining(ctx context.Context) (Event, error) {
	arrival, err := c.next(ctx)
	if err == nil {
		c.joining = append(c.joining, arrival)
	}
	return arrival.Event, err
}

// explain makes an *Error out of what went wrong during a step of the join.
func (c *Conn) explain(err error, step string) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return unreachable(fmt.Sprintf("%s does not answer %s", hostOf(c.address), step), err)
}

func passwordError(channel string, wrong bool) *Error {
	message := fmt.Sprintf("channel %s asks for a password and none is configured", channel)
	if wrong {
		message = fmt.Sprintf("channel %s refuses the channel password", channel)
	}
	return &Error{Reason: status.ReasonChannelPasswordWrong, Message: message}
}

// loginError reads the reason out of the server's words: there is no code for it.
func loginError(username, said string) *Error {
	refusal := &Error{
		Reason:  status.ReasonLoginRefused,
		Message: fmt.Sprintf("login as %s refused: %s", username, serverText(said)),
	}
	lower := strings.ToLower(said)
	switch {
	case strings.Contains(lower, "guest logins are restricted"):
		refusal.Reason = status.ReasonLoginLimited
		refusal.RetryAfter = secondsIn(lower)
	case strings.Contains(lower, "already in use"), strings.Contains(lower, "is registered"):
		refusal.Reason = status.ReasonNameTaken
	}
	return refusal
}

var secondsPattern = regexp.MustCompile(`(\d{1,5}) ?s(?:ec|\b)`)

// defaultLoginDelay is CyTube's default, for words without a number of seconds.
const defaultLoginDelay = 60 * time.Second

func secondsIn(said string) time.Duration {
	match := secondsPattern.FindStringSubmatch(said)
	if match == nil {
		return defaultLoginDelay
	}
	seconds, err := strconv.Atoi(match[1])
	if err != nil {
		return defaultLoginDelay
	}
	return time.Duration(seconds) * time.Second
}

// kickError tells the reasons of a kick apart by the server's words: there is no code for it. A
// moderator can write the same words, which makes the bot wait longer and does no other harm.
func kickError(kick Kick) *Error {
	said := serverText(kick.Reason)
	lower := strings.ToLower(said)
	switch {
	case lower == "duplicate login":
		return &Error{Reason: status.ReasonDuplicateLogin, Message: "somebody else logged in with the bot's account"}
	case strings.HasPrefix(lower, "invalid channel name"):
		return &Error{Reason: status.ReasonChannelRefused, Message: "the server refuses the channel: " + said}
	case strings.HasPrefix(lower, "too many connections"):
		return &Error{Reason: status.ReasonConnectionLimited, Message: "the server limits connections: " + said}
	case isBan(lower):
		return &Error{Reason: status.ReasonBanned, Message: "banned from the channel: " + said}
	case said == "":
		said = "no reason given"
	}
	return &Error{Reason: status.ReasonKicked, Message: "kicked from the channel: " + said}
}

// isBan knows what somebody hears who is banned while there, who comes in spite of a ban, and whose
// address is banned from the whole site.
func isBan(lower string) bool {
	for _, words := range []string{"you're banned", "you are banned", "your ip is", "globally banned"} {
		if strings.Contains(lower, words) {
			return true
		}
	}
	return false
}
