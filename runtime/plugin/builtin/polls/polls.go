// Package polls is a plugin that opens and closes polls of the channel, and lets people choose the next film: they
// nominate films, a poll decides, and the winner is added to the playlist.
package polls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	voteTime       = "voteTime"
	maxNominations = "maxNominations"
	voteTitle      = "title"
)

const (
	// maxTitle bounds the title of a poll, in UTF-16 code units.
	maxTitle = 100
	// maxOptions and maxText are CyTube's, and maxText is in bytes.
	maxOptions, maxText = 50, 255
	// shortestVote and longestVote bound the time for a vote.
	shortestVote, longestVote = 30 * time.Second, time.Hour
	// actTimeout is the time for what the channel has to show.
	actTimeout = 15 * time.Second
)

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("polls", Version)
	p.Setting(plugin.Setting{
		Name: voteTime, Default: "2m", Check: plugin.Length(shortestVote, longestVote),
		Help: "How long people vote on the nominations.",
	})
	p.Setting(plugin.Setting{
		Name: maxNominations, Default: "10", Check: plugin.Whole(2, 20), Help: "The most films that are nominated at a time.",
	})
	p.Setting(plugin.Setting{
		Name: voteTitle, Default: "What do we watch?", Help: "The title of the poll on the nominations.",
		Check: func(value string) error {
			if value == "" || plugin.OneLine(value, maxTitle) != value {
				return fmt.Errorf("expected 1 to %d printable characters", maxTitle)
			}
			return nil
		},
	})
	v := &votes{adding: make(chan struct{}, 1)}
	p.OnStart(func(_ context.Context, c *plugin.Channel) error {
		v.self = c
		return nil
	})
	v.declarePolls(p)
	v.declareNominations(p)
	p.Every(tickInterval, v.tick)
	return p
}

func (v *votes) declarePolls(p *plugin.Plugin) {
	p.Command(plugin.Command{
		Name: "poll", Usage: "title | option | option [| hidden]", Rank: plugin.Moderator, Timeout: actTimeout,
		Help: "Opens a poll. With hidden at the end, the votes are hidden until it is closed.",
		Examples: []plugin.Example{
			{Say: "!poll Snacks? | Popcorn | Crisps", Like: `^The poll is open\.$`},
			{Say: "!poll Snacks?.Popcorn.Crisps.true", Like: `^The poll is open\.$`},
			{Say: "!poll Snacks?", Wrong: `at least two options`},
		},
	}, openPoll)
	p.Command(plugin.Command{
		Name: "endpoll", Aliases: []string{"closepoll"}, Rank: plugin.Moderator, Timeout: actTimeout,
		Help:     "Closes the poll, whoever opened it, and tells the result.",
		Examples: []plugin.Example{{Say: "!endpoll", Wrong: `no poll is open`}},
	}, v.endPoll)
	p.Command(plugin.Command{
		Name: "pollresult", Aliases: []string{"result"}, Cooldown: plugin.Cooldown{User: 3 * time.Second},
		Help:     "Tells the votes of the poll, or of the last one.",
		Examples: []plugin.Example{{Say: "!pollresult", Wrong: `no poll`}},
	}, tellResult)
}

// poll is one of the channel.
type poll = plugin.Poll

// last returns the last poll of the channel. Nil: there was none.
func last(ctx context.Context, c *plugin.Channel) (*poll, error) {
	state, err := c.State(ctx, plugin.Polls)
	return state.Poll, err
}

// told makes of the error of a request one that the person is shown: it says why it was refused.
func told(err error) error {
	if refusal, refused := errors.AsType[*plugin.RequestError](err); refused && !errors.Is(err, plugin.ErrUnconfirmed) {
		return plugin.UsageError(errors.New(refusal.Why))
	}
	return err
}

// newPoll is a poll that is to be opened.
type newPoll struct {
	title   string
	options []string
	hidden  bool
}

func openPoll(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	wanted, err := parsePoll(c.Args)
	if err != nil {
		return plugin.Reply{}, plugin.UsageError(err)
	}
	if err := wanted.open(ctx, c.Channel); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("The poll is open."), nil
}

// parsePoll returns the poll of the arguments: the parts are between bars, or, as at other bots, between full stops.
// The last part hides the votes if it is "hidden", or "true" as at other bots.
func parsePoll(args string) (newPoll, error) {
	separator, hide := "|", "hidden"
	if !strings.Contains(args, separator) {
		separator, hide = ".", "true"
	}
	var parts []string
	for part := range strings.SplitSeq(args, separator) {
		if part = strings.Join(strings.Fields(part), " "); part != "" {
			parts = append(parts, part)
		}
	}
	hidden := len(parts) > 0 && strings.EqualFold(parts[len(parts)-1], hide)
	if hidden {
		parts = parts[:len(parts)-1]
	}
	switch {
	case len(parts) < 3:
		return newPoll{}, errors.New("expected a title and at least two options, with | between them")
	case len(parts) > maxOptions+1:
		return newPoll{}, fmt.Errorf("%d options, expected at most %d", len(parts)-1, maxOptions)
	case slices.ContainsFunc(parts, func(part string) bool { return len(part) > maxText }):
		return newPoll{}, fmt.Errorf("expected at most %d bytes for the title and each option", maxText)
	}
	return newPoll{title: parts[0], options: parts[1:], hidden: hidden}, nil
}

// open opens the poll, unless one is open: CyTube would close that.
func (n newPoll) open(ctx context.Context, c *plugin.Channel) error {
	before, err := last(ctx, c)
	switch {
	case err != nil:
		return told(err)
	case before != nil && before.Open:
		return plugin.Usage("a poll of %s is open: close it first", before.Initiator)
	}
	return told(c.Act(ctx, plugin.PollOpen, plugin.Action{
		Title: n.title, Options: n.options, ObscureResults: n.hidden,
	}))
}

func (v *votes) endPoll(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	before, err := last(ctx, c.Channel)
	switch {
	case err != nil:
		return plugin.Reply{}, told(err)
	case before == nil || !before.Open:
		return plugin.Reply{}, plugin.Usage("no poll is open")
	}
	if err := c.Act(ctx, plugin.PollClose, plugin.Action{Opened: before.Opened}); err != nil {
		return plugin.Reply{}, told(err)
	}
	after, err := last(ctx, c.Channel)
	if err != nil || !isSame(before, after) || v.isRunning(before) { // the result of a vote is said by tick
		return plugin.Text("The poll is closed."), told(err)
	}
	return plugin.Text("%s", result(after)), nil
}

// isSame reports whether two polls are the same one.
func isSame(a, b *poll) bool {
	return a != nil && b != nil && a.Opened == b.Opened && a.Title == b.Title
}

func tellResult(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	one, err := last(ctx, c.Channel)
	switch {
	case err != nil:
		return plugin.Reply{}, told(err)
	case one == nil:
		return plugin.Reply{}, plugin.Usage("there was no poll since I came")
	}
	return plugin.Text("%s", result(one)), nil
}

// result returns the votes of a poll as a line.
func result(one *poll) string {
	line := "📊 " + plugin.OneLine(one.Title, maxTitle) + ": "
	if len(one.Counts) != len(one.Options) {
		return line + "the votes are hidden until the poll is closed"
	}
	line += ranking(one.Options, one.Counts)
	if one.Open {
		line += ", so far"
	}
	return plugin.Cut(line, plugin.MaxLength)
}

// ranking returns options with their votes, the most first.
func ranking(options []string, counts []int) string {
	order := make([]int, len(options))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[b] - counts[a] })
	var parts []string
	for _, i := range order {
		parts = append(parts, fmt.Sprintf("%s %d", plugin.OneLine(options[i], maxName), counts[i]))
	}
	return strings.Join(parts, ", ")
}
