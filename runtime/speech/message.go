package speech

import (
	"context"
	"regexp"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// Outcome is what became of something that the bot said. The text of an outcome is a label of metrics and begins the
// error of a failure report.
type Outcome string

// Outcomes.
const (
	Said       Outcome = "said"       // it appeared in the channel
	Muted      Outcome = "muted"      // the bot is muted
	Forbidden  Outcome = "forbidden"  // the bot's rank is too low
	Throttled  Outcome = "throttled"  // the server dropped it again and again: too many lines
	Filtered   Outcome = "filtered"   // the spam filter dropped it
	Refused    Outcome = "refused"    // the server refused it, Result.Reason says why
	TooLong    Outcome = "too_long"   // it has more than bus.MaxOutboundBytes
	Doubtful   Outcome = "doubtful"   // it may have been said already, and nobody can know
	Unanswered Outcome = "unanswered" // its echo did not come in time
	Gone       Outcome = "gone"       // the connection ended first, or the bot is not the leader any more
)

// Outcomes are all outcomes that Speaker.Count counts.
var Outcomes = []Outcome{
	Said, Muted, Forbidden, Throttled, Filtered, Refused, TooLong, Doubtful, Unanswered, Gone,
}

// Result is an Outcome with its details.
type Result struct {
	Outcome Outcome
	// Reason is the server's text. It may be empty.
	Reason string
	// wait is how long the server wants a throttled sender to pause.
	wait time.Duration
	// shown is the text of the echo as it was typed, if there was one.
	shown string
}

func (r Result) String() string {
	if r.Reason == "" {
		return string(r.Outcome)
	}
	return string(r.Outcome) + ": " + r.Reason
}

// Message is a text for the channel or for one user. Each of its lines becomes a line there, or several if it is long.
type Message struct {
	// To is the user that gets it as a private message. Empty: it is for the channel.
	To   string
	Text string
	// Command has the server execute the first line of Text, which begins with "/", instead of saying it. It must never
	// be set because of what a text looks like: names, titles and replies of others are texts too. For the channel only.
	Command bool
	// Yielding has the message wait for all others, and keeps half of what the flood limit accepts at once for these: a
	// program that says much must not delay the replies of the bot. It waits at most maxYield more than others.
	Yielding bool
}

// attempt is a Message, or an action that counts as one, on its way to the server.
type attempt struct {
	message Message
	// rest is what of the text comes after message. Only for a message that belongs to no line of the queue.
	rest string
	// action is run instead of sending the message. It has no echo.
	action func(context.Context) error
	// line is the line of the outbound queue to which the message belongs, as part number part. Nil: none.
	line *line
	part int
	// done takes the result. It is nil for a part of a line.
	done func(Result, error)
	// canceled reports whether the caller no longer waits for the result. Nil: never.
	canceled func() bool
	// throttled counts how often the server dropped it.
	throttled int
	// since is when a message that yields began to wait.
	since time.Time
}

// Permission is whether the server lets the bot chat.
type Permission int

// Permissions. The zero Permission is PermissionUnknown.
const (
	PermissionUnknown    Permission = iota // not known yet; an anonymous watcher never knows it
	PermissionGranted                      // the bot may chat
	PermissionMuted                        // the bot is muted
	PermissionRankTooLow                   // the bot's rank does not allow it
)

// permissionState is the permission to chat for lines of the queue. A refusal counts only after some time: on joining,
// the bot's rank in the channel arrives last, and a line that is abandoned before would be lost.
type permissionState struct {
	value Permission
	since time.Time
}

func (c *permissionState) set(value Permission, now time.Time) {
	if c.value != value {
		*c = permissionState{value, now}
	}
}

// confirmed returns the permission, and PermissionUnknown while a refusal is not older than delay.
func (c *permissionState) confirmed(delay time.Duration, now time.Time) Permission {
	if c.value == PermissionGranted || now.Sub(c.since) >= delay {
		return c.value
	}
	return PermissionUnknown
}

// formatting is the commands that only change how the server shows a line. It handles what follows them like a line of
// its own, so there can be several of them.
var formatting = regexp.MustCompile(`^/(?:me|sp|say|shout|rcv|a)(?: |$)`)

// body returns the text that the server shows, and how many commands for formatting come before it.
func (m Message) body() (text string, commands int) {
	text = m.Text
	for m.Command {
		prefix := formatting.FindString(text)
		if prefix == "" {
			break
		}
		text = text[len(prefix):]
		commands++
	}
	return text, commands
}

// weight returns how often the server's flood limit counts a message: each command for formatting counts, and so does
// what follows it.
func (m Message) weight() int {
	_, commands := m.body()
	return 1 + commands
}

// onWire returns the text that is sent to the server: a line that is not to be executed does not begin with "/".
func (m Message) onWire() string {
	if !m.Command && m.To == "" {
		return cytube.Unexecuted(m.Text)
	}
	return m.Text
}

// shown returns the text as the echo has it according to cytube.TypedText, unless filters of the channel change it.
func (m Message) shown() string {
	text, _ := m.body()
	return strings.Join(strings.Fields(text), " ")
}
