package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Command is what a plugin declares about a command. The bot enforces it before it calls the plugin, and the owner of
// the bot may overrule all of it.
type Command struct {
	// Name is what people type after the prefix: 1 to 30 of a-z, 0-9, '-' and '_'. Aliases are other names, at most 5, of
	// any letters of any script in lower case.
	Name    string
	Aliases []string
	// Usage is what follows the name, for example "[n]dS[+m]", and Help one sentence about the command.
	Usage, Help string
	// Rank is the lowest rank of people who may give it: Guest, Registered, Moderator, and so on.
	Rank float64
	// Cooldown is how long people wait until the next call.
	Cooldown Cooldown
	// Timeout is how long a call may take, at most a minute. 0: 5 seconds.
	Timeout time.Duration
	// Via are the ways in which it can be called. Empty: both. By private message too it is called with the prefix.
	Via []Via
	// Private leaves the arguments of calls out of the bot's audit also if they come from the chat. Those of private
	// messages never are in it: of them it has only the length.
	Private bool
	// Lines declares that the plugin also takes lines of the chat as this command, without the prefix: what names the bot,
	// or an answer in a quiz. Event.Take then says whether it may take one so.
	Lines bool
	// Examples are shown in the help, and run as tests.
	Examples []Example
}

// Ranks of people in a channel.
const (
	Guest      = 0
	Registered = 1
	Moderator  = 2
	Admin      = 3
	Owner      = 4
	Founder    = 5
)

// Cooldown is how long a person, and the whole channel, wait between two calls of a command.
type Cooldown struct {
	User, Channel time.Duration
}

// Example is a call of a command, and what is expected of it. plugintest.Examples and `rosey plugin check` run it.
type Example struct {
	// Say is the whole line, with the prefix "!".
	Say string
	// Like is a regular expression that the lines of the answer match, joined by line feeds. Empty: any answer.
	Like string
	// Wrong is a regular expression that the text of a UsageError matches. Empty: the call does not fail.
	Wrong string
	// As is who calls, and Rank their rank. Empty: somebody with the rank that the command asks for.
	As   string
	Rank float64
}

// Via is how a command was given, or where an answer goes.
type Via string

// The ways.
const (
	Chat Via = bus.ViaChat // in the chat, for all to see
	PM   Via = bus.ViaPM   // by private message
)

const (
	// maxAliases and maxExamples are per command.
	maxAliases, maxExamples = 5, 5
	// maxUsage, maxHelp and maxExample bound the texts, in characters. The bot cuts what is longer.
	maxUsage, maxHelp, maxExample = 80, 200, 100
)

// ExamplePrefix is what the lines of examples begin with.
const ExamplePrefix = "!"

type command struct {
	Command

	handle Handler
}

// check returns what is wrong with a command.
func (c command) check() error {
	for _, check := range []func() error{c.checkNames, c.checkRules, c.checkTexts} {
		if err := check(); err != nil {
			return err
		}
	}
	if data, err := c.metadata(); err != nil || len(data) > bus.MaxPluginMetadataBytes {
		return fmt.Errorf("expected at most %d bytes as JSON", bus.MaxPluginMetadataBytes)
	}
	return nil
}

func (c command) checkNames() error {
	switch {
	case !bus.IsPluginCommand(c.Name):
		return errors.New("name: expected 1 to 30 of a-z, 0-9, '-' and '_'")
	case len(c.Aliases) > maxAliases:
		return fmt.Errorf("aliases: expected at most %d", maxAliases)
	case slices.ContainsFunc(c.Aliases, func(alias string) bool { return !bus.IsPluginAlias(alias) }):
		return errors.New("aliases: expected 1 to 30 characters in lower case without spaces, '/' and '.'")
	}
	return nil
}

func (c command) checkRules() error {
	switch {
	case c.Timeout < 0 || c.Timeout > bus.MaxPluginTimeout:
		return fmt.Errorf("timeout: %v, expected at most %v", c.Timeout, bus.MaxPluginTimeout)
	case c.Cooldown.User < 0 || c.Cooldown.Channel < 0:
		return errors.New("cooldown: expected no negative time")
	case c.handle == nil:
		return errors.New("expected a handler")
	case slices.ContainsFunc(c.Via, func(via Via) bool { return via != Chat && via != PM }):
		return fmt.Errorf("via: %q, expected Chat and PM", c.Via)
	}
	return nil
}

func (c command) checkTexts() error {
	if len(c.Examples) > maxExamples {
		return fmt.Errorf("examples: expected at most %d", maxExamples)
	}
	for _, one := range []struct {
		field, text string
		most        int
	}{{"usage", c.Usage, maxUsage}, {"help", c.Help, maxHelp}} {
		if status.OneLine(one.text, one.most) != one.text {
			return fmt.Errorf("%s: expected one printable line of at most %d characters", one.field, one.most)
		}
	}
	for i, example := range c.Examples {
		if err := c.checkExample(example); err != nil {
			return fmt.Errorf("examples[%d]: %w", i, err)
		}
	}
	return nil
}

func (c command) checkExample(example Example) error {
	line, found := strings.CutPrefix(example.Say, ExamplePrefix)
	name, _, _ := strings.Cut(line, " ")
	if !found || !c.isCalled(name) || status.OneLine(line, maxExample) != line {
		return fmt.Errorf("%q, expected one line that begins with %s%s", example.Say, ExamplePrefix, c.Name)
	}
	for _, pattern := range []string{example.Like, example.Wrong} {
		if _, err := regexp.Compile(pattern); err != nil {
			return fmt.Errorf("%q: %w", example.Say, err)
		}
	}
	return nil
}

// isCalled reports whether a name is that of the command or one of its aliases.
func (c command) isCalled(name string) bool {
	return c.Name == name || slices.Contains(c.Aliases, name)
}

// metadata returns the bus.PluginCommand as JSON.
func (c command) metadata() (string, error) {
	declared := bus.PluginCommand{
		Name: c.Name, Aliases: c.Aliases, Usage: c.Usage, Help: c.Help, Rank: c.Rank,
		Cooldown: bus.PluginCooldown{
			UserMS: int(c.Cooldown.User.Milliseconds()), ChannelMS: int(c.Cooldown.Channel.Milliseconds()),
		},
		TimeoutMS: int(c.Timeout.Milliseconds()), Private: c.Private, Lines: c.Lines,
	}
	for _, via := range c.Via {
		declared.Via = append(declared.Via, string(via))
	}
	for _, example := range c.Examples {
		declared.Examples = append(declared.Examples, strings.TrimPrefix(example.Say, ExamplePrefix))
	}
	data, err := json.Marshal(declared)
	if err != nil {
		return "", fmt.Errorf("encoding the command: %w", err)
	}
	return string(data), nil
}
