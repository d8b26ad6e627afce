package plugin

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Handler answers a call. ctx ends when nobody waits for the answer any more: its time is over, or the bot has left the
// channel. An error is logged, and the person is told that the command failed; a UsageError is shown to them instead. A
// panic is an error of this call alone.
type Handler func(ctx context.Context, c *Call) (Reply, error)

// Call is a command that somebody gave.
type Call struct {
	// Channel does what it does because of this call: the bot checks the rank of User, and what happens is recorded with
	// their name.
	*Channel

	// ID identifies the call.
	ID string
	// User is who gave the command.
	User User
	Via  Via
	// Command is the name that the plugin declared, whatever was typed.
	Command string
	// Args is what follows the command, and Text the whole line, both as typed. Anybody may have typed anything.
	Args, Text string
}

// User is a person in the channel.
type User struct {
	Name string
	Rank float64
}

// Words returns the words of Args.
func (c *Call) Words() []string { return strings.Fields(c.Args) }

// Reply is the answer to a call. The zero value answers nothing.
type Reply struct {
	// Lines are at most 5, each of at most 320 UTF-16 code units, without line feeds, and not beginning with "/".
	Lines []string
	// To is where they go. Empty: where the call came from.
	To Via
	// NoCooldown is whether the next call need not wait.
	NoCooldown bool
}

// Text returns a Reply with one line, formatted as by fmt.Sprintf.
func Text(format string, arguments ...any) Reply { return Lines(fmt.Sprintf(format, arguments...)) }

// Lines returns a Reply with several lines.
func Lines(lines ...string) Reply { return Reply{Lines: lines} }

// Privately returns the same reply, as a private message.
func (r Reply) Privately() Reply {
	r.To = PM
	return r
}

// WithoutCooldown returns the same reply, after which the next call need not wait.
func (r Reply) WithoutCooldown() Reply {
	r.NoCooldown = true
	return r
}

// MaxLength is the length of the longest line, in UTF-16 code units, as CyTube counts.
const MaxLength = bus.MaxPluginLineLength

// MaxLines is the number of lines that are said at once.
const MaxLines = bus.MaxPluginLines

// Cut returns a text of at most length UTF-16 code units. What is longer ends in "…".
func Cut(text string, length int) string {
	if utf16Length(text) <= length {
		return text
	}
	room, end := length-1, 0
	for i, r := range text {
		if room -= utf16.RuneLen(r); room < 0 {
			end = i
			break
		}
	}
	return strings.TrimRight(text[:end], " ") + "…"
}

// OneLine is Cut for a text that others have made, such as a title: it becomes one printable line.
func OneLine(text string, length int) string { return Cut(status.OneLine(text, length), length) }

func utf16Length(text string) (length int) {
	for _, r := range text {
		length += max(1, utf16.RuneLen(r))
	}
	return length
}

// checkLines returns what is wrong with lines that are to be said.
func checkLines(lines []string) error {
	if len(lines) > MaxLines {
		return fmt.Errorf("%d lines, expected at most %d", len(lines), MaxLines)
	}
	for i, line := range lines {
		switch {
		case strings.TrimSpace(line) == "":
			return fmt.Errorf("line %d: it is empty", i+1)
		case bus.ContainsCommand(line):
			return fmt.Errorf("line %d: it begins with /, which would be a command to the server", i+1)
		case bus.ContainsLineBreak(line):
			return fmt.Errorf("line %d: it has a line feed", i+1)
		case utf16Length(line) > MaxLength:
			return fmt.Errorf("line %d: %d UTF-16 code units, expected at most %d", i+1, utf16Length(line), MaxLength)
		}
	}
	return nil
}
