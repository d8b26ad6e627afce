// Package dice is a plugin that rolls dice, flips coins, answers questions like a ball in a toy shop, and chooses.
package dice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	maxDice  = "maxDice"
	maxSides = "maxSides"
	answers  = "answers"
)

// defaultAnswers are those of 8ball: yes, perhaps, no.
const defaultAnswers = "Yes., Yes: no doubt about it., It looks like it., All signs say yes., You can count on it., " +
	"Perhaps., Ask again when the film is over., I would rather not say., Hard to tell., " +
	"No., Do not count on it., It does not look like it., Everything says no., Not in this life."

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("dice", Version)
	p.Setting(plugin.Setting{
		Name: maxDice, Default: "20", Check: plugin.Whole(1, 100), Help: "The most dice of one roll.",
	})
	p.Setting(plugin.Setting{
		Name: maxSides, Default: "1000", Check: plugin.Whole(2, 1_000_000), Help: "The most sides of a die.",
	})
	p.Setting(plugin.Setting{
		Name: answers, Default: defaultAnswers, Help: "The answers of 8ball, separated by commas.",
		Check: plugin.Parts(1, 100),
	})
	cooldown := plugin.Cooldown{User: 3 * time.Second}
	p.Command(plugin.Command{
		Name: "roll", Aliases: []string{"dice"}, Usage: "[n]dS[khK|klK][+m] | adv | dis", Cooldown: cooldown,
		Help: "Rolls dice: 2d6+3, 4d6kh3 keeps the highest three, adv and dis are 2d20 with the highest or lowest kept.",
		Examples: []plugin.Example{
			{Say: "!roll", Like: `^🎲 alice: d6 = [1-6]$`},
			{Say: "!roll 3d1+2", Like: `^🎲 alice: 3d1\+2 = 5 \[1, 1, 1\]$`},
			{Say: "!roll 4d6kh3", Like: `= \d+ \[`},
			{Say: "!roll adv-1", Like: `^🎲 alice: adv-1 = `},
			{Say: "!roll 2d", Wrong: `expected dice`},
		},
	}, roll)
	p.Command(plugin.Command{
		Name: "flip", Aliases: []string{"coin"}, Usage: "[n]", Cooldown: cooldown,
		Help: "Flips a coin, or several.",
		Examples: []plugin.Example{
			{Say: "!flip", Like: `^🪙 alice: (heads|tails)$`}, {Say: "!flip 10", Like: `^🪙 alice: \d+ heads, \d+ tails$`},
		},
	}, flip)
	p.Command(plugin.Command{
		Name: "8ball", Aliases: []string{"eightball"}, Usage: "question", Cooldown: cooldown,
		Help: "Answers a question with yes, no or perhaps.",
		Examples: []plugin.Example{
			{Say: "!8ball Will it rain?", Like: `^🎱 alice: .`}, {Say: "!8ball", Wrong: `a question`},
		},
	}, eightBall)
	p.Command(plugin.Command{
		Name: "choose", Aliases: []string{"pick"}, Usage: "this, that or something else", Cooldown: cooldown,
		Help: "Chooses one of several things.",
		Examples: []plugin.Example{
			{Say: "!choose tea, tea or tea", Like: `^alice: tea$`}, {Say: "!choose tea", Wrong: `at least two`},
		},
	}, choose)
	return p
}

// random returns a number from 0 to n-1.
func random(n int) int { return rand.IntN(n) } //nolint:gosec // it guards no secret

func roll(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	text := strings.ToLower(strings.Join(c.Words(), ""))
	if text == "" {
		text = "d6"
	}
	settings := c.Settings()
	terms, err := parse(text, limits{dice: settings.Int(maxDice), sides: settings.Int(maxSides)})
	if err != nil {
		return plugin.Reply{}, plugin.UsageError(err)
	}
	sum, shown := 0, []string(nil)
	for _, one := range terms {
		value, dice := one.roll()
		sum += value
		shown = append(shown, dice...)
	}
	line := fmt.Sprintf("🎲 %s: %s = %d", c.User.Name, text, sum)
	if len(shown) > 1 {
		line += " [" + strings.Join(shown, ", ") + "]"
	}
	return plugin.Text("%s", plugin.Cut(line, plugin.MaxLength)), nil
}

// maxCoins is how many coins can be flipped at once.
const maxCoins = 1000

func flip(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	if c.Args == "" {
		return plugin.Text("🪙 %s: %s", c.User.Name, []string{"heads", "tails"}[random(2)]), nil
	}
	count, err := strconv.Atoi(c.Args)
	if err != nil || count < 1 || count > maxCoins {
		return plugin.Reply{}, plugin.Usage("expected how many coins, from 1 to %d", maxCoins)
	}
	heads := 0
	for range count {
		heads += random(2)
	}
	return plugin.Text("🪙 %s: %d heads, %d tails", c.User.Name, heads, count-heads), nil
}

func eightBall(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	if c.Args == "" {
		return plugin.Reply{}, plugin.Usage("expected a question")
	}
	all := c.Settings().List(answers)
	line := fmt.Sprintf("🎱 %s: %s", c.User.Name, all[random(len(all))])
	return plugin.Text("%s", plugin.Cut(line, plugin.MaxLength)), nil
}

func choose(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	things := split(c.Args)
	if len(things) < 2 {
		return plugin.Reply{}, plugin.Usage("expected at least two things, with commas or \"or\" between them")
	}
	line := fmt.Sprintf("%s: %s", c.User.Name, things[random(len(things))])
	return plugin.Text("%s", plugin.Cut(line, plugin.MaxLength)), nil
}

// split returns the things to choose from: between commas, bars and the word "or", or else the words.
func split(text string) (things []string) {
	const between = ","
	text = strings.ReplaceAll(text, "|", between)
	var joined []string
	for word := range strings.FieldsSeq(text) {
		if strings.EqualFold(word, "or") {
			word = between
		}
		joined = append(joined, word)
	}
	text = strings.Join(joined, " ")
	if !strings.Contains(text, between) {
		return strings.Fields(text)
	}
	for thing := range strings.SplitSeq(text, between) {
		if thing = strings.TrimSpace(thing); thing != "" {
			things = append(things, thing)
		}
	}
	return things
}
