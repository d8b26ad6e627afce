package trivia

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// tickInterval is how often the plugin looks whether something is due.
	tickInterval = 500 * time.Millisecond
	// retryAfter is when something is said or stored again that failed, and maxFailing for how long that is tried.
	retryAfter = 5 * time.Second
	maxFailing = 2 * time.Minute
	// markKey is there while a round runs, so that one that a restart has ended is noticed, for markKept at most.
	markKey  = "round"
	markKept = 24 * time.Hour
	// maxAwards bounds how many awards wait to be stored: those of one round with the most questions, and its winners.
	maxAwards = 2 * maxRound
)

// game is the trivia of the channel. What is said in a round is said by tick alone, so that it stays in order.
type game struct {
	library *library

	mu    sync.Mutex
	round *round
	lines []string // that are to be said
	// awards are to be stored.
	awards []award
	// marked is the revision of what this process has stored at markKey. 0: nothing.
	marked plugin.Revision
	// asked is when a question was asked last, by its text: a number that grows.
	asked map[string]int
	count int

	// These are tick's alone.
	failing time.Time // since when nothing can be said or stored; zero: it can
	retry   time.Time
}

// mark is what is stored at markKey.
type mark struct {
	By string `json:"by"`
}

// choose returns questions for a round: those that were not asked for longest, and among them any.
func (g *game) choose(from []question, count int) []question {
	g.mu.Lock()
	defer g.mu.Unlock()
	shuffle(from)
	slices.SortStableFunc(from, func(a, b question) int { return g.asked[a.text] - g.asked[b.text] })
	from = from[:min(len(from), count)]
	if len(g.asked) > maxQuestions {
		g.asked = map[string]int{}
	}
	for _, one := range from {
		g.count++
		g.asked[one.text] = g.count
	}
	return from
}

// shuffle changes the order of a list at random.
func shuffle[T any](list []T) {
	//nolint:gosec // it guards no secret
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// begin begins a round unless one runs.
func (g *game) begin(ctx context.Context, c *plugin.Channel, one *round) error {
	if !g.reserve(one) {
		return errRuns
	}
	revision, err := c.KV().Set(ctx, markKey, mark{By: one.by}, plugin.Expires(markKept))
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.round = nil // it has not asked yet: this call would be over before
		return err
	}
	g.marked = revision
	return nil
}

// reserve makes a round the one that runs, and reports whether there was none.
func (g *game) reserve(one *round) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.round != nil {
		return false
	}
	g.round = one
	return true
}

// add takes the lines of the round, and notices that it has ended. The caller holds the lock.
func (g *game) add(lines []string) {
	g.lines = append(g.lines, lines...)
	if g.round.ended {
		for _, name := range g.round.winners() {
			g.addAward(award{name: name, won: 1})
		}
		g.round = nil
	}
}

func (g *game) addAward(a award) {
	if len(g.awards) < maxAwards {
		g.awards = append(g.awards, a)
	}
}

// answer takes an answer, and reports whether a round runs and whether it is right.
func (g *game) answer(name, text string, now time.Time) (runs, isRight bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.round == nil {
		return false, false
	}
	lines, earned := g.round.answer(name, text, now)
	if earned == 0 {
		return true, false
	}
	g.addAward(award{name: name, points: earned, right: 1})
	g.add(lines)
	return true, true
}

// heard takes a line of the chat as an answer. What the bot says, for another plugin also, is none, nor what somebody
// says who may not answer by the command.
func (g *game) heard(ctx context.Context, e *plugin.Event) error {
	if e.User.Name == "" || isCommand(e.Text) || !g.isOpen() {
		return nil
	}
	if taken, err := e.Take(ctx, answerName); err != nil || !taken {
		return err
	}
	g.answer(e.User.Name, e.Text, e.Now())
	return nil
}

// isOpen reports whether a question waits for answers.
func (g *game) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.round != nil && g.round.open
}

// isCommand reports whether a line looks like a command: what begins with punctuation and a letter.
func isCommand(text string) bool {
	return len(text) > 1 && strings.ContainsRune("!/.$?", rune(text[0])) && text[1] >= 'A'
}

// change does something with the round that runs if a person may: who started it, or a moderator.
func (g *game) change(who plugin.User, do func(r *round) []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.round == nil:
		return errNone
	case who.Rank < plugin.Moderator && !strings.EqualFold(who.Name, g.round.by):
		return plugin.Usage("%s started this round: only they and moderators do that", g.round.by)
	}
	g.add(do(g.round))
	return nil
}

// Errors about whether a round runs.
var (
	errNone = plugin.Usage("no round runs: \"trivia start\" begins one")
	errRuns = plugin.Usage("a round runs already")
)

// now returns the lines of the question that is open. running is false if no round runs.
func (g *game) now() (lines []string, running bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.round == nil:
		return nil, false
	case !g.round.open:
		return []string{"The next question comes soon."}, true
	}
	return g.round.question(), true
}

// lost returns the revision at markKey of a round that ran when the plugin ended. 0: there is none.
func (g *game) lost(ctx context.Context, c *plugin.Channel) (plugin.Revision, error) {
	revision, err := c.KV().Get(ctx, markKey, &mark{})
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || g.round != nil || revision == g.marked {
		return 0, err
	}
	return revision, nil
}

// tick says and stores what is due.
func (g *game) tick(ctx context.Context, c *plugin.Channel) error {
	if c.Now().Before(g.retry) {
		return nil
	}
	err := g.say(ctx, c)
	if err == nil {
		err = g.store(ctx, c)
	}
	now := c.Now()
	switch {
	case err == nil:
		g.failing, g.retry = time.Time{}, time.Time{}
	case errors.Is(err, plugin.ErrNotGranted), !g.failing.IsZero() && now.Sub(g.failing) >= maxFailing:
		g.giveUp()
		g.failing = time.Time{}
		return fmt.Errorf("the round of trivia ends: %w", err)
	case g.failing.IsZero():
		g.failing, g.retry = now, now.Add(retryAfter)
		return err
	default:
		g.retry = now.Add(retryAfter) // the log has it already
	}
	return nil
}

// giveUp ends the round. What was not said is not said later, when nobody knows what it was about.
func (g *game) giveUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.round, g.lines, g.awards = nil, nil, nil
}

// say says what is to be said. The time of a question begins when it was said.
func (g *game) say(ctx context.Context, c *plugin.Channel) error {
	g.mu.Lock()
	if g.round != nil && len(g.lines) == 0 {
		g.add(g.round.step(c.Now()))
	}
	lines := slices.Clone(g.lines[:min(len(g.lines), plugin.MaxLines)])
	g.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	if err := c.Say(ctx, lines...); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = g.lines[len(lines):]
	if g.round != nil && g.round.open && len(g.lines) == 0 && g.round.said.IsZero() {
		g.round.said = c.Now()
	}
	return nil
}

// store stores the points that were earned, and that no round runs any more.
func (g *game) store(ctx context.Context, c *plugin.Channel) error {
	for {
		g.mu.Lock()
		awards, isOver := g.awards, g.marked != 0 && g.round == nil
		g.mu.Unlock()
		switch {
		case len(awards) > 0:
			err := awards[0].store(ctx, c)
			if errors.Is(err, plugin.ErrFull) {
				c.Log().WarnContext(ctx, "points of trivia are not kept", "error", err)
			} else if err != nil {
				return err
			}
			g.mu.Lock()
			g.awards = g.awards[1:]
			g.mu.Unlock()
		case isOver:
			return g.unmark(ctx, c)
		default:
			return nil
		}
	}
}

// unmark stores that no round runs. One that was begun meanwhile has another revision.
func (g *game) unmark(ctx context.Context, c *plugin.Channel) error {
	g.mu.Lock()
	marked := g.marked
	g.mu.Unlock()
	if err := plugin.IgnoreConflict(c.KV().DeleteIf(ctx, markKey, marked)); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.marked == marked {
		g.marked = 0
	}
	return nil
}
