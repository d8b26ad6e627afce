package polls

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
	// tickInterval is how often the plugin looks at the poll of a vote, and retryAfter when it looks again after an error.
	tickInterval = time.Second
	retryAfter   = 10 * time.Second
	// voteKey is where the vote is stored that runs.
	voteKey = "vote"
	// maxOpening is how long the opening of a poll may take. A vote whose poll is not known then has none.
	maxOpening = time.Minute
	// maxLate is how long after its end a vote is given up whose poll cannot be seen or closed.
	maxLate = 10 * time.Minute
	// readInterval is how often the stored vote is read while this process knows of none: another process may have begun
	// one, and ended.
	readInterval = time.Minute
	// maxMissing is how long the channel may show no poll: when the bot joins, it comes a little later.
	maxMissing = 10 * time.Second
)

// vote is a poll on the nominations, as it is stored.
type vote struct {
	Title string       `json:"title"`
	Films []nomination `json:"films"` // in the order of the poll's options
	// Begun and Ends are in Unix seconds.
	Begun int64 `json:"begun"`
	Ends  int64 `json:"ends"`
	// Opened is that of the poll. Known is true once it is known.
	Opened int64 `json:"opened"`
	Known  bool  `json:"known"`
}

// is reports whether a poll is that of the vote.
func (v vote) is(one *poll) bool { return isSame(&poll{Opened: v.Opened, Title: v.Title}, one) }

// expires makes the key of the vote vanish when it would have been given up for long, also if no process runs.
func (v vote) expires(now time.Time) plugin.Option {
	return plugin.Expires(time.Unix(v.Ends, 0).Sub(now) + 2*maxLate)
}

// running is the vote that runs.
type running struct {
	vote

	revision plugin.Revision
	// These are tick's alone. counts are the votes as they were seen last; nil: never.
	counts  []int
	missing time.Time // since when no poll is there; zero: there is one
	closing bool      // it was tried to close the poll, and the log has it if that failed
}

// votes is the vote of the channel. tick alone ends one.
type votes struct {
	self *plugin.Channel // of no call

	mu      sync.Mutex
	read    time.Time // when the stored vote was read last; zero: it is to be read
	current *running  // nil: none
	// adding is taken by who adds a nomination, so that nobody else does between their counting and storing.
	adding chan struct{}

	// These are tick's alone.
	retry  time.Time
	logged bool // the log has the error
}

// isRunning reports whether a poll is that of the vote that runs.
func (v *votes) isRunning(one *poll) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.current != nil && v.current.is(one)
}

// start opens a poll on the nominations.
func (v *votes) start(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	length := c.Settings().Duration(voteTime)
	if c.Args != "" {
		var err error
		if length, err = time.ParseDuration(c.Args); err != nil || length < shortestVote || length > longestVote {
			return plugin.Reply{}, plugin.Usage("expected a time from 30s to 1h, such as 5m")
		}
	}
	films, err := nominations(ctx, c.Channel)
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case len(films) < 2:
		return plugin.Reply{}, plugin.Usage("%d nominations: expected at least 2 films", len(films))
	}
	films = films[:min(len(films), maxOptions)]
	one := vote{Title: c.Settings().Text(voteTitle), Films: films, Begun: c.Now().Unix()}
	one.Ends = c.Now().Add(length).Unix()
	err = v.begin(ctx, c.Channel, one)
	if errors.Is(err, plugin.ErrUnconfirmed) {
		return plugin.Text("The channel has not shown the poll yet. If it opens, its votes do not count: close it."), nil
	}
	if err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Reply{
		Lines: []string{fmt.Sprintf("Vote in the poll on %d films: it is open for %v.", len(films), length)}, To: plugin.Chat,
	}, nil
}

// begin stores a vote and opens its poll. A request that fails may have been done all the same: then what is stored is
// read again, and the vote is adopted if its poll is known, and forgotten otherwise.
func (v *votes) begin(ctx context.Context, c *plugin.Channel, one vote) error {
	revision, err := c.KV().SetIf(ctx, voteKey, one, 0, one.expires(c.Now()))
	if err != nil {
		v.readAgain()
		if _, conflict := errors.AsType[*plugin.ConflictError](err); conflict {
			return plugin.Usage("a vote on the nominations runs already")
		}
		return err
	}
	wanted := newPoll{title: one.Title}
	for _, film := range one.Films {
		wanted.options = append(wanted.options, film.option())
	}
	if err := wanted.open(ctx, c); err != nil {
		return errors.Join(err, v.undo(ctx, c, revision))
	}
	known, err := v.know(ctx, c, &one, revision)
	if err != nil {
		return errors.Join(v.closeAgain(ctx, one.Opened, err), v.undo(ctx, c, revision))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current == nil || v.current.revision != known { // tick may have read it already
		v.current = &running{vote: one, revision: known}
	}
	return nil
}

// undo removes a vote without a poll. ctx may be what has ended.
func (v *votes) undo(ctx context.Context, c *plugin.Channel, revision plugin.Revision) error {
	err := c.KV().DeleteIf(context.WithoutCancel(ctx), voteKey, revision)
	if err != nil {
		v.readAgain()
	}
	return plugin.IgnoreConflict(err)
}

// readAgain makes tick read what is stored.
func (v *votes) readAgain() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = time.Time{}
}

// errReplaced means that the poll of the vote is not there any more.
var errReplaced = plugin.Usage("somebody else has opened a poll meanwhile")

// closeAgain closes the poll that was opened just now for a vote that cannot begin, and returns what the moderator is
// told. The call may be over, so it is not because of the call. opened is the poll's Opened. 0: it is not known, and
// the poll stays open, because the one that is open may be somebody else's by now.
func (v *votes) closeAgain(ctx context.Context, opened int64, why error) error {
	if errors.Is(why, errReplaced) {
		return why
	}
	err := errors.New("it is not known which poll it is")
	if opened != 0 {
		err = v.self.Act(context.WithoutCancel(ctx), plugin.PollClose, plugin.Action{Opened: opened})
	}
	if err != nil {
		v.self.Log().WarnContext(ctx, "a poll was opened for a vote that could not begin", "error", errors.Join(why, err))
		return plugin.Usage("the poll is open, but its votes do not count, and I cannot close it: close it first")
	}
	return why
}

// know stores which poll of the channel is that of the vote, which was opened just now.
func (v *votes) know(
	ctx context.Context, c *plugin.Channel, one *vote, revision plugin.Revision,
) (plugin.Revision, error) {
	state, err := c.State(ctx, plugin.Polls)
	switch {
	case err != nil:
		return 0, told(err)
	case state.Poll == nil || !strings.EqualFold(state.Poll.Initiator, state.Self):
		return 0, errReplaced
	}
	one.Title, one.Opened, one.Known = state.Poll.Title, state.Poll.Opened, true
	return c.KV().SetIf(ctx, voteKey, *one, revision, one.expires(c.Now()))
}

// tick looks at the poll of the vote.
func (v *votes) tick(ctx context.Context, c *plugin.Channel) error {
	if c.Now().Before(v.retry) {
		return nil
	}
	err := v.look(ctx, c)
	if err == nil {
		v.logged = false
		return nil
	}
	v.retry = c.Now().Add(retryAfter)
	if v.logged {
		return nil
	}
	v.logged = true
	return err
}

func (v *votes) look(ctx context.Context, c *plugin.Channel) error {
	one, err := v.load(ctx, c)
	if one == nil || err != nil {
		return err
	}
	state, err := c.State(ctx, plugin.Polls)
	isLate := c.Now().Sub(time.Unix(one.Ends, 0)) > maxLate
	switch {
	case (err != nil || !state.Joined) && isLate:
		c.Log().WarnContext(ctx, "a vote is given up: nobody has seen its poll", "error", err)
		return plugin.IgnoreConflict(v.forget(ctx, c, one))
	case err != nil || !state.Joined:
		return err // the bot comes back
	case state.Poll == nil:
		if one.missing.IsZero() {
			one.missing = c.Now()
		}
		if c.Now().Sub(one.missing) < maxMissing {
			return nil
		}
		return v.end(ctx, c, one, "The poll was closed while I was away: the votes that I saw count.")
	case !one.is(state.Poll):
		return v.end(ctx, c, one, "Another poll was opened: the votes so far count.")
	}
	one.missing = time.Time{}
	return v.follow(ctx, c, one, state.Poll)
}

// follow ends a vote whose poll is closed, and closes the poll when it is time.
func (v *votes) follow(ctx context.Context, c *plugin.Channel, one *running, now *poll) error {
	if len(now.Counts) == len(one.Films) {
		one.counts = now.Counts
	}
	ended := c.Now().Sub(time.Unix(one.Ends, 0))
	switch {
	case !now.Open:
		return v.end(ctx, c, one, "")
	case ended < 0:
		return nil
	case one.closing && ended > maxOpening:
		return v.end(ctx, c, one, "I cannot close the poll: the votes so far count.")
	}
	one.closing = true
	if err := c.Act(ctx, plugin.PollClose, plugin.Action{Opened: one.Opened}); err != nil {
		return err
	}
	after, err := last(ctx, c) // before another one is opened
	if err != nil || !one.is(after) || after.Open {
		return err // the next tick sees why
	}
	if len(after.Counts) == len(one.Films) {
		one.counts = after.Counts
	}
	return v.end(ctx, c, one, "")
}

// load returns the vote that runs, also one that another process has begun. Nil: none.
func (v *votes) load(ctx context.Context, c *plugin.Channel) (*running, error) {
	v.mu.Lock()
	one, read := v.current, v.read
	v.mu.Unlock()
	if one != nil || !read.IsZero() && c.Now().Sub(read) < readInterval {
		return one, nil
	}
	var none *running
	one = &running{}
	var err error
	one.revision, err = c.KV().Get(ctx, voteKey, &one.vote)
	switch {
	case err != nil:
		return none, err
	case one.revision != 0 && !one.Known && c.Now().Sub(time.Unix(one.Begun, 0)) < maxOpening:
		return none, nil // a call is about to open its poll
	case one.revision != 0 && !one.Known:
		return none, plugin.IgnoreConflict(v.forget(ctx, c, one))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = c.Now()
	if v.current == nil && one.revision != 0 {
		v.current = one
	}
	return v.current, nil
}

// forget removes a vote. A *plugin.ConflictError means that another process has ended it.
func (v *votes) forget(ctx context.Context, c *plugin.Channel, one *running) error {
	err := c.KV().DeleteIf(ctx, voteKey, one.revision)
	if err != nil && plugin.IgnoreConflict(err) != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = c.Now()
	if v.current == one {
		v.current = nil
	}
	return err
}

// end ends a vote and adds the winner. note is said before the result. The vote is removed first: what a crash
// interrupts is not done again, so nothing is added twice.
func (v *votes) end(ctx context.Context, c *plugin.Channel, one *running, note string) error {
	still, err := nominations(ctx, c)
	if err != nil {
		return err
	}
	if err := v.forget(ctx, c, one); err != nil {
		return plugin.IgnoreConflict(err)
	}
	var lines []string
	if note != "" {
		lines = []string{note}
	}
	winner, why := one.winner(still)
	lines = append(lines, why...)
	if winner != nil {
		lines = append(lines, plugin.Cut(v.add(ctx, c, *winner), plugin.MaxLength))
	}
	return c.Say(ctx, lines...)
}

// winner returns the film with the most votes among those that are still nominated, and what is to be said about it.
// Nil: nobody voted for one.
func (r *running) winner(still []nomination) (winner *nomination, lines []string) {
	const nothing = "Nothing is added, and the nominations stay."
	if r.counts == nil {
		return nil, []string{"I have seen no votes. " + nothing}
	}
	most, best := 0, []int(nil)
	var names []string
	for i, film := range r.Films {
		names = append(names, film.name())
		if r.counts[i] < max(most, 1) || !slices.Contains(still, film) {
			continue
		}
		if r.counts[i] > most {
			most, best = r.counts[i], nil
		}
		best = append(best, i)
	}
	lines = []string{plugin.Cut("📊 "+ranking(names, r.counts), plugin.MaxLength)}
	if len(best) == 0 {
		return nil, append(lines, "Nobody voted for what is nominated. "+nothing)
	}
	drawn := r.Films[best[rand.IntN(len(best))]] //nolint:gosec // it guards no secret
	if len(best) > 1 {
		lines = append(lines, plugin.Cut(fmt.Sprintf("A tie of %d: the lot falls on %s.", len(best), drawn.name()),
			plugin.MaxLength))
	}
	return &drawn, lines
}

// add adds the winner to the playlist, and returns what is to be said. The nomination is used up, also if it cannot be
// added: it would win again, and fail again.
func (v *votes) add(ctx context.Context, c *plugin.Channel, winner nomination) string {
	if _, err := c.KV().Delete(ctx, key(winner.By)); err != nil {
		c.Log().WarnContext(ctx, "the nomination of a winner is not removed", "error", err)
	}
	item, err := c.Add(ctx, winner.URL)
	if err == nil {
		name := winner.name()
		if item.Title != "" {
			name = plugin.OneLine(item.Title, maxTitle)
		}
		return fmt.Sprintf("🏆 %s, nominated by %s, is added to the playlist.", name, winner.By)
	}
	c.Log().WarnContext(ctx, "the winner of a vote was not added", "error", err)
	if errors.Is(err, plugin.ErrUnconfirmed) {
		return fmt.Sprintf("🏆 %s, nominated by %s, has won. The channel has not shown yet that it was added. The link: %s",
			winner.name(), winner.By, winner.URL)
	}
	why := "the channel does not answer"
	if refusal, refused := errors.AsType[*plugin.RequestError](err); refused {
		why = plugin.OneLine(refusal.Why, maxTitle)
	}
	return fmt.Sprintf("🏆 %s has won, but could not be added: %s. The link: %s", winner.name(), why, winner.URL)
}
