// Package quotes is a plugin that keeps what people have said: added by hand or from the chat, found by words or by
// person.
package quotes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// maxQuotes is the name of a setting.
const maxQuotes = "maxQuotes"

const (
	quoteKeys = "quote/"
	nextKey   = "next" // the number of the last quote
	// maxText and maxWho bound a quote, in UTF-16 code units, so that it fits into a line with all that is around it.
	maxText, maxWho = 240, 30
)

// quote is a quote as it is stored.
type quote struct {
	Number int64  `json:"number"`
	Text   string `json:"text"`
	// Who said it. Empty: it is not known.
	Who string `json:"who,omitempty"`
	// By is who added it, and At when, in Unix seconds.
	By string `json:"by"`
	At int64  `json:"at"`
}

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("quotes", Version)
	p.Setting(plugin.Setting{
		Name: maxQuotes, Default: "1000", Check: plugin.Whole(1, 5000), Help: "The most quotes that are kept.",
	})
	heard := newHeard()
	cooldown := plugin.Cooldown{User: 3 * time.Second}
	p.Command(plugin.Command{
		Name: "quote", Aliases: []string{"q", "findquote"}, Usage: "[number | @person | words]", Cooldown: cooldown,
		Help: "Shows a quote: any, that of a number, one of a person, or one with all of some words.",
		Examples: []plugin.Example{
			{Say: "!quote", Like: `^There are no quotes yet\.$`}, {Say: "!quote @bob", Wrong: `no quote`},
			{Say: "!findquote train", Wrong: `no quote`},
		},
	}, show)
	p.Command(plugin.Command{
		Name: "addquote", Usage: "[@person] text", Rank: plugin.Registered, Cooldown: cooldown,
		Help: "Keeps a quote.",
		Examples: []plugin.Example{
			{Say: "!addquote @bob I never said that", Like: `^Quote 1: “I never said that” – bob$`},
			{Say: "!addquote", Wrong: `expected a text`},
		},
	}, add)
	p.Command(plugin.Command{
		Name: "grab", Usage: "person", Rank: plugin.Registered, Cooldown: cooldown,
		Help:     "Keeps the last line that somebody wrote in the chat.",
		Examples: []plugin.Example{{Say: "!grab bob", Wrong: `no line of "bob"`}},
	}, heard.grab)
	p.Command(plugin.Command{
		Name: "delquote", Usage: "number", Rank: plugin.Registered,
		Help:     "Removes a quote: one that you added yourself, or for moderators any.",
		Examples: []plugin.Example{{Say: "!delquote 1", Wrong: `no quote 1`}},
	}, remove)
	p.On(plugin.Message, heard.note)
	return p
}

// String returns a quote as it is said.
func (q quote) String() string {
	text := fmt.Sprintf("Quote %d: “%s”", q.Number, q.Text)
	if q.Who != "" {
		text += " – " + q.Who
	}
	return plugin.Cut(text, plugin.MaxLength)
}

func key(number int64) string { return fmt.Sprintf("%s%09d", quoteKeys, number) }

// all returns the quotes that are meant.
func all(ctx context.Context, c *plugin.Channel, isMeant func(quote) bool) (found []quote, err error) {
	stored, err := plugin.All[quote](ctx, c.KV(), quoteKeys)
	for _, one := range stored {
		if isMeant(one.Value) {
			found = append(found, one.Value)
		}
	}
	return found, err
}

func show(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	found, err := all(ctx, c.Channel, search(c.Args))
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case len(found) == 0 && c.Args == "":
		return plugin.Text("There are no quotes yet."), nil
	case len(found) == 0:
		return plugin.Reply{}, plugin.Usage("no quote is like that")
	}
	return plugin.Text("%s", found[rand.IntN(len(found))]), nil //nolint:gosec // it guards no secret
}

// search returns what reports whether a quote is meant by the arguments of a call.
func search(args string) func(quote) bool {
	if number, err := strconv.ParseInt(strings.TrimPrefix(args, "#"), 10, 64); err == nil {
		return func(q quote) bool { return q.Number == number }
	}
	if who, found := strings.CutPrefix(args, "@"); found {
		return func(q quote) bool { return strings.EqualFold(q.Who, who) }
	}
	words := strings.Fields(strings.ToLower(args))
	return func(q quote) bool {
		text := strings.ToLower(q.Text)
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	}
}

func add(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	text, who := c.Args, ""
	if rest, found := strings.CutPrefix(text, "@"); found {
		who, text, _ = strings.Cut(rest, " ")
	}
	return keep(ctx, c, text, who)
}

// keep stores a quote.
func keep(ctx context.Context, c *plugin.Call, text, who string) (plugin.Reply, error) {
	one := quote{
		Text: plugin.OneLine(text, 2*maxText), Who: plugin.OneLine(who, 2*maxWho), By: c.User.Name, At: c.Now().Unix(),
	}
	switch {
	case one.Text == "":
		return plugin.Reply{}, plugin.Usage("expected a text, with @person in front if you know who said it")
	case plugin.Cut(one.Text, maxText) != one.Text || plugin.Cut(one.Who, maxWho) != one.Who:
		return plugin.Reply{}, plugin.Usage("expected a text of at most %d characters, and a name of %d", maxText, maxWho)
	}
	same, count := false, 0
	_, err := all(ctx, c.Channel, func(other quote) bool {
		count++
		same = same || other.Text == one.Text && strings.EqualFold(other.Who, one.Who)
		return false
	})
	switch most := c.Settings().Int(maxQuotes); {
	case err != nil:
		return plugin.Reply{}, err
	case same:
		return plugin.Reply{}, plugin.Usage("this quote is kept already")
	case count >= most:
		return plugin.Reply{}, plugin.Usage("%d quotes are kept already: remove one first", count)
	}
	if one.Number, err = c.KV().Add(ctx, nextKey, 1); err != nil {
		return plugin.Reply{}, err
	}
	if _, err := c.KV().SetIf(ctx, key(one.Number), one, 0); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("%s", one), nil
}

func remove(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	number, err := strconv.ParseInt(strings.TrimPrefix(c.Args, "#"), 10, 64)
	if err != nil || number < 1 {
		return plugin.Reply{}, plugin.Usage("expected the number of a quote")
	}
	var one quote
	revision, err := c.KV().Get(ctx, key(number), &one)
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case revision == 0:
		return plugin.Reply{}, plugin.Usage("no quote %d", number)
	case c.User.Rank < plugin.Moderator && !strings.EqualFold(one.By, c.User.Name):
		return plugin.Reply{}, plugin.Usage("quote %d was added by %s: only they and moderators remove it", number, one.By)
	}
	if err := c.KV().DeleteIf(ctx, key(number), revision); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("Removed quote %d.", number), nil
}
