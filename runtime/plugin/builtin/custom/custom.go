// Package custom is a plugin with what moderators write and change from the chat: text commands, the rules of the
// channel, a greeting for who comes, and lines that are said every so often. It also posts what plays to a webhook.
package custom

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	greetAgain  = "greetAgain"
	minInterval = "minInterval"
)

const (
	// checkInterval is how often the plugin looks what other processes have changed, and what is to be said.
	checkInterval = 30 * time.Second
	// startTimeout is how long the start waits for the database, and retryInterval the time between two looks while it was
	// not there yet.
	startTimeout, retryInterval = 5 * time.Second, 5 * time.Second
	// maxTexts is how many text commands there may be, and maxTimed how many lines that are said every so often.
	maxTexts, maxTimed = 40, 20
)

// Keys.
const (
	textKeys    = "text/"
	rulesKey    = "rules"
	greetingKey = "greeting"
	timedKeys   = "timed/"
)

// New returns the plugin.
func New() *plugin.Plugin { return newPlugin(os.Getenv) }

func newPlugin(getenv func(string) string) *plugin.Plugin {
	p := plugin.New("custom", Version)
	p.Setting(plugin.Setting{
		Name: greetAgain, Default: "12h", Check: plugin.Length(time.Minute, 30*24*time.Hour),
		Help: "How long somebody who was greeted is not greeted again.",
	})
	p.Setting(plugin.Setting{
		Name: minInterval, Default: "10m", Check: plugin.Length(time.Minute, 24*time.Hour),
		Help: "The shortest time between two of the same timed line.",
	})
	texts := newTexts()
	declareTexts(p, texts)
	declareRules(p)
	declareTimed(p)
	texts.reserve(p.Commands())
	p.OnStart(texts.start)
	p.Every(checkInterval, func(ctx context.Context, c *plugin.Channel) error {
		return errors.Join(texts.load(ctx, c), sayTimed(ctx, c))
	})
	p.Every(retryInterval, texts.retry)
	p.On(plugin.UserJoined, greet)
	declareWebhook(p, getenv)
	return p
}

// declareRules declares what is stored under one key: the rules and the greeting.
func declareRules(p *plugin.Plugin) {
	p.Command(plugin.Command{
		Name: "rules", Help: "Shows the rules of the channel.", Cooldown: plugin.Cooldown{User: 10 * time.Second},
		Examples: []plugin.Example{{Say: "!rules", Like: `^There are no rules yet\.$`}},
	}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		var rules string
		if _, err := c.KV().Get(ctx, rulesKey, &rules); err != nil {
			return plugin.Reply{}, err
		}
		if rules == "" {
			return plugin.Text("There are no rules yet."), nil
		}
		return plugin.Lines(lines(rules)...), nil
	})
	p.Command(plugin.Command{
		Name: "setrules", Usage: "one | two | three", Rank: plugin.Moderator,
		Help:     "Changes the rules: up to five lines, with | between them. Without any, there are none.",
		Examples: []plugin.Example{{Say: "!setrules Be kind | No spoilers", Like: `^The rules have 2 lines\.$`}},
	}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		return set(ctx, c, rulesKey, "The rules have %d lines.", "There are no rules now.")
	})
	p.Command(plugin.Command{
		Name: "setgreeting", Usage: "text with {user}", Rank: plugin.Moderator,
		Help:     "Changes what is said to who comes. Without a text, nobody is greeted.",
		Examples: []plugin.Example{{Say: "!setgreeting Welcome, {user}!", Like: `^The greeting has 1 lines\.$`}},
	}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		return set(ctx, c, greetingKey, "The greeting has %d lines.", "Nobody is greeted now.")
	})
}

// set stores the arguments of a call under a key, and removes it if there are none.
func set(ctx context.Context, c *plugin.Call, key, changed, removed string) (plugin.Reply, error) {
	if c.Args == "" {
		_, err := c.KV().Delete(ctx, key)
		return plugin.Text("%s", removed), err
	}
	if err := checkText(c.Args); err != nil {
		return plugin.Reply{}, err
	}
	if _, err := c.KV().Set(ctx, key, c.Args); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text(changed, len(lines(c.Args))), nil
}

// separator is between the lines of a text.
const separator = "|"

// lines returns the lines of a text, each printable. A very long one is cut, and still longer than one may be.
func lines(text string) (all []string) {
	for line := range strings.SplitSeq(text, separator) {
		if line = plugin.OneLine(line, 2*plugin.MaxLength); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// placeholderRoom is how long a name may be that takes the place of a placeholder.
const placeholderRoom = 40

// checkText returns a usage error if a text cannot be said.
func checkText(text string) error {
	all := lines(text)
	if len(all) == 0 || len(all) > plugin.MaxLines {
		return plugin.Usage("expected 1 to %d lines, with %s between them", plugin.MaxLines, separator)
	}
	for _, line := range all {
		if strings.HasPrefix(line, "/") || strings.HasPrefix(line, argsPlaceholder) {
			return plugin.Usage("expected lines that do not begin with / or %s", argsPlaceholder)
		}
		if plugin.Cut(line, plugin.MaxLength-placeholderRoom) != line {
			return plugin.Usage("expected lines of at most %d characters", plugin.MaxLength-placeholderRoom)
		}
	}
	return nil
}

// Placeholders in texts.
const userPlaceholder, argsPlaceholder = "{user}", "{args}"

// fill returns the lines of a text with what takes the place of the placeholders, without those that are empty then.
func fill(text, user, args string) (all []string) {
	filler := strings.NewReplacer(userPlaceholder, user, argsPlaceholder, args)
	for _, line := range lines(text) {
		if line = plugin.OneLine(filler.Replace(line), plugin.MaxLength); line != "" {
			all = append(all, line)
		}
	}
	return all
}
