package cytube

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// Error is the reason that there is no connection to the channel, or no longer.
type Error struct {
	// Reason is for programs: it does not change.
	Reason status.Reason
	// Message is for people. It stays the same from attempt to attempt while the cause does.
	Message string
	// RetryAfter is the time to wait that the server demands, at most ten minutes. Zero: none.
	RetryAfter time.Duration
	// Status is the HTTP status of a response that refused the connection. Zero: there was no such response.
	Status int
	// Err is the cause in full. Nil if the server gave the reason.
	Err error
}

// Error returns the message with the whole cause, for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, status.OneLine(e.Err.Error(), maxCause))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FrameError is the error for a malformed frame. It never shows the content, which can be somebody's private message.
type FrameError struct {
	// Kind is the malformed part: one of a few fixed words, or the name of an event.
	Kind string
	// Size is the size of the frame or payload in bytes.
	Size int
}

// Error returns kind and size.
func (e *FrameError) Error() string {
	return fmt.Sprintf("malformed frame: %s of %d bytes", e.Kind, e.Size)
}

// unreachable returns the Error for a failure of the network, or of a server that is not CyTube. That of a proxy in
// between already is one.
func unreachable(what string, err error) *Error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	return &Error{Reason: status.ReasonServerUnreachable, Message: what + ": " + networkError(err), Err: err}
}

// networkError is status.NetworkError on a short printable line: the error can contain what the server sent, such as a
// certificate's names.
func networkError(err error) string { return status.OneLine(status.NetworkError(err), maxCause) }

// maxCause is the number of characters of a cause. That of a failed TLS handshake takes some 150.
const maxCause = 300

// maxServerText is the number of characters of a server's text in a message.
const maxServerText = 200

// serverText makes a text from the server fit for a one-line message.
func serverText(text string) string { return status.OneLine(text, maxServerText) }

func passwordError(channel string, wrong bool) *Error {
	message := fmt.Sprintf("channel %s asks for a password, but none is configured", channel)
	if wrong {
		message = fmt.Sprintf("channel %s refuses the channel password", channel)
	}
	return &Error{Reason: status.ReasonChannelPasswordWrong, Message: message}
}

// withoutSecret removes a password that a server repeats in the error about it.
func withoutSecret(said, password string) string {
	if password == "" {
		return said
	}
	return strings.ReplaceAll(said, password, "…")
}

// loginError derives the reason from the server's text: CyTube has no error codes.
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

var secondsPattern = regexp.MustCompile(`(\d+) ?s(?:ec|\b)`)

// defaultLoginDelay is CyTube's default, for a text without a number of seconds.
const defaultLoginDelay = 60 * time.Second

func secondsIn(said string) time.Duration {
	match := secondsPattern.FindStringSubmatch(said)
	if match == nil {
		return defaultLoginDelay
	}
	seconds, _ := strconv.ParseUint(match[1], 10, 31) // a number that is too large becomes the largest
	return boundedSeconds(seconds)
}

// kickError derives the reason of a kick from the server's text: CyTube has no error codes. A moderator can write the
// same text, which only makes the bot wait longer.
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

// isBan reports whether a kick's reason, in lower case, is that of a ban: of a user in the channel, of one who joins in
// spite of a ban, or of an address on the whole site.
func isBan(lower string) bool {
	for _, text := range []string{"you're banned", "you are banned", "your ip is", "globally banned"} {
		if strings.Contains(lower, text) {
			return true
		}
	}
	return false
}
