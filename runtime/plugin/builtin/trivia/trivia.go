// Package trivia is a plugin that asks questions in rounds, with hints and points. The questions are in files, in the
// settings, or those that are inside. A round lives in the memory of the process; points are kept.
package trivia

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	directory    = "directory"
	ownQuestions = "questions.*"
	answerTime   = "time"
	hints        = "hints"
	startRank    = "startRank"
)

// answerName is the command as which the lines of the chat are taken.
const answerName = "a"

const (
	// defaultRound and maxRound are how many questions a round has.
	defaultRound, maxRound = 10, 50
)

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("trivia", Version)
	declareSettings(p)
	g := &game{asked: map[string]int{}, library: newLibrary()}
	p.Command(plugin.Command{
		Name: "trivia", Aliases: []string{"quiz"}, Usage: "start [n] [category] | stop | skip | score [user] | top",
		Cooldown: plugin.Cooldown{User: 2 * time.Second},
		Help:     "Asks questions, in rounds. Answer in the chat. Without anything it repeats the question.",
		Examples: []plugin.Example{
			{Say: "!trivia start 5 film", Like: `^alice starts a round of 5 questions \(Film\)\.`, Rank: plugin.Registered},
			{Say: "!trivia score", Like: `^alice has no points yet\.$`},
			{Say: "!trivia top", Like: `^Nobody has points yet\.$`},
			{Say: "!trivia stop", Wrong: `no round runs`},
			{Say: "!trivia start 1000", Wrong: `1 to 50`, Rank: plugin.Registered},
		},
	}, g.command)
	// The one command that answers: whoever may not give it must not answer in another way.
	p.Command(plugin.Command{
		Name: answerName, Aliases: []string{"answer"}, Usage: "answer", Lines: true,
		Help:     "Answers the question of a round of trivia, as a line in the chat does.",
		Examples: []plugin.Example{{Say: "!a Canberra", Wrong: `no round runs`}},
	}, g.answerCommand)
	p.On(plugin.Message, g.heard)
	p.Every(tickInterval, g.tick)
	return p
}

func declareSettings(p *plugin.Plugin) {
	for _, one := range []plugin.Setting{
		{
			Name: directory, Check: checkDirectory,
			Help: "A directory with questions, in files that end in .txt or .json.",
		},
		{
			Name: ownQuestions, Check: checkText,
			Help: "Questions of a category, questions.film for example: one a line, as question|answer|another right answer.",
		},
		{
			Name: answerTime, Default: "30s", Check: plugin.Length(10*time.Second, 5*time.Minute),
			Help: "The time for a question.",
		},
		{Name: hints, Default: "true", Check: plugin.Switch, Help: "Whether there are hints."},
		{
			Name: startRank, Default: "1", Check: plugin.Whole(plugin.Guest, plugin.Founder),
			Help: "The lowest rank of people who start a round: 0 guests, 1 registered people, 2 moderators.",
		},
	} {
		p.Setting(one)
	}
}

// command answers !trivia. It says first if a round was lost.
func (g *game) command(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	lost, err := g.lost(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	reply, err := g.do(ctx, c)
	if err != nil || lost == 0 {
		return reply, err
	}
	// The beginning of a round has replaced it already.
	if err := plugin.IgnoreConflict(c.KV().DeleteIf(ctx, markKey, lost)); err != nil {
		return plugin.Reply{}, err
	}
	reply.Lines = append([]string{"The last round was lost: I was restarted. The points are kept."}, reply.Lines...)
	return reply, nil
}

func (g *game) do(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	verb, rest, _ := strings.Cut(c.Args, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(verb) {
	case "":
		lines, running := g.now()
		if !running {
			return plugin.Reply{}, errNone
		}
		return plugin.Lines(lines...), nil
	case "start":
		return g.start(ctx, c, rest)
	case "stop":
		return plugin.Reply{}, g.change(c.User, func(r *round) []string { return r.end("The round was stopped.") })
	case "skip":
		return plugin.Reply{}, g.change(c.User, func(r *round) []string { return r.skip(c.Now()) })
	case "score", "stats":
		return tellScore(ctx, c, rest)
	case "top", "lb", "leaderboard":
		return tellTop(ctx, c)
	}
	return plugin.Reply{}, plugin.Usage("expected start, stop, skip, score or top; answers are lines in the chat")
}

// start begins a round.
func (g *game) start(ctx context.Context, c *plugin.Call, args string) (plugin.Reply, error) {
	settings := c.Settings()
	if lowest := settings.Int(startRank); c.User.Rank < float64(lowest) {
		return plugin.Reply{}, plugin.Usage("rank %d is needed to start a round", lowest)
	}
	count, category, err := parseStart(args)
	if err != nil {
		return plugin.Reply{}, err
	}
	if _, running := g.now(); running {
		return plugin.Reply{}, errRuns
	}
	all, isNew, err := g.library.load(ctx, c.Now(), settings.Text(directory), settings.Each(ownQuestions))
	if err != nil {
		return plugin.Reply{}, err
	}
	if isNew && all.leftOut > 0 {
		c.Log().WarnContext(ctx, "questions are left out", "count", all.leftOut, "first", all.why)
	}
	meant := inCategory(all.all, category)
	switch {
	case len(all.all) == 0:
		return plugin.Reply{}, plugin.Usage("there are no questions")
	case len(meant) == 0:
		return plugin.Reply{}, plugin.Usage("no question is in that category, expected one of %s", categories(all.all))
	}
	chosen := g.choose(meant, count)
	rules := rules{time: settings.Duration(answerTime), hints: settings.Bool(hints)}
	if err := g.begin(ctx, c.Channel, newRound(c.User.Name, chosen, rules, c.Now())); err != nil {
		return plugin.Reply{}, err
	}
	line := fmt.Sprintf("%s starts a round of %d questions", c.User.Name, len(chosen))
	if category != "" {
		line += " (" + categories(chosen) + ")"
	}
	line += fmt.Sprintf(". Write your answers in the chat: there are %v for each.", rules.time)
	return plugin.Reply{Lines: []string{line}, To: plugin.Chat}, nil
}

// parseStart returns how many questions a round has, and their category. Empty: any.
func parseStart(args string) (count int, category string, err error) {
	first, rest, _ := strings.Cut(args, " ")
	if strings.Trim(first, "-0123456789") != "" || first == "" {
		return defaultRound, args, nil
	}
	count, err = strconv.Atoi(first)
	if err != nil || count < 1 || count > maxRound {
		return 0, "", plugin.Usage("expected 1 to %d questions", maxRound)
	}
	return count, rest, nil
}

// answerCommand answers !a. In the chat, what becomes of the answer is said there, and nothing of a wrong one.
func (g *game) answerCommand(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
	runs, isRight := g.answer(c.User.Name, c.Args, c.Now())
	switch {
	case !runs:
		return plugin.Reply{}, errNone
	case c.Via != plugin.PM:
		return plugin.Reply{}, nil
	case isRight:
		return plugin.Text("That is right."), nil
	}
	return plugin.Text("That is not it."), nil
}
