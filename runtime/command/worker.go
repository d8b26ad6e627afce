package command

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/telemetry"
)

const (
	// maxJobs is how many commands wait while one is executed.
	maxJobs = 32
	// taskTimeout bounds a task. Most of it is for waiting until the flood limit lets a line through.
	taskTimeout = 30 * time.Second
	// replyTimeout bounds a reply. The longest has 31 lines, and lines of the outbound queue can come in between.
	replyTimeout = 2 * time.Minute
	// confirmTimeout is how long the server may take to show the effect of a request.
	confirmTimeout = 3 * time.Second
)

var (
	errBusy        = errors.New("too many commands at once; try again later")
	errTimeout     = errors.New("the command took too long")
	errLeft        = errors.New("the bot left the channel before the command was done")
	errUnconfirmed = errors.New("the server did not confirm it in time")
)

// job is a command that waits to be executed.
type job struct {
	source source
	user   string
	// name is what the bot calls the command, and typed what users do.
	name, typed string
	// args are the arguments as they are published.
	args string
	task task
}

// queue hands a job to Run.
func (h *Handler) queue(j job) {
	select {
	case h.jobs <- j:
	default:
		h.finish(context.Background(), j, errBusy)
	}
}

// Run executes commands one after the other until ctx ends.
func (h *Handler) Run(ctx context.Context) {
	var removing sync.WaitGroup
	defer removing.Wait()
	removing.Go(func() { h.removeStrays(ctx) })
	for ctx.Err() == nil {
		select {
		case j := <-h.jobs:
			h.perform(ctx, j)
		case <-ctx.Done():
		}
	}
}

// Close rejects the commands that were not executed. Call it after Run has returned and after the last call of Handle.
func (h *Handler) Close() {
	for len(h.jobs) > 0 {
		h.finish(context.Background(), <-h.jobs, errLeft)
	}
}

func (h *Handler) perform(ctx context.Context, j job) {
	if !h.Leading() {
		h.finish(ctx, j, speech.ErrNotLeading)
		return
	}
	// Requests to the database are a part of it. Only known commands get here: the name is none that a user made up.
	ctx, span := telemetry.Start(ctx, "command "+j.name)
	defer span.End()
	lines, err := runTask(ctx, j.task)
	h.finish(ctx, j, err)
	if err != nil {
		lines = append(lines, j.typed+": "+err.Error())
	}
	h.reply(ctx, j, lines)
}

func runTask(ctx context.Context, t task) ([]string, error) {
	limited, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	lines, err := t(limited)
	switch {
	case err != nil && ctx.Err() != nil:
		err = errLeft
	case err != nil && limited.Err() != nil:
		err = errTimeout
	}
	return lines, err
}

// reply says lines where the command came from.
func (h *Handler) reply(ctx context.Context, j job, lines []string) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	to := j.user
	if j.source == fromChat {
		to = ""
	}
	text := speech.Message{To: to, Text: strings.Join(lines, "\n")}
	if got := h.Speaker.Say(ctx, text); got.Outcome != speech.Said {
		h.Log.DebugContext(ctx, "reply not delivered", "command", j.name, "result", got)
	}
}

// finish counts a command, and publishes a PM command for the audit.
func (h *Handler) finish(ctx context.Context, j job, err error) {
	outcome, result := "success", "success"
	if err != nil {
		outcome, result = "error", "error"
	}
	if _, denied := errors.AsType[*deniedError](err); denied {
		outcome = "denied"
	}
	if errors.Is(err, errBusy) {
		outcome = "busy"
	}
	h.Count(string(j.source), j.name, outcome)
	if j.source != fromPM {
		return
	}
	h.Log.InfoContext(ctx, "PM command executed", "user", j.user, "command", j.name, "outcome", outcome)
	now := time.Now()
	payload := bus.PMCommandPayload{Username: j.user, Command: j.name, Args: j.args, Result: result, Origin: h.Origin}
	payload.Timestamp = bus.Seconds{Time: now}
	if err != nil {
		payload.Error = new(err.Error())
	}
	h.Publisher.Publish(ctx, bus.ActionPMCommand, h.EventID(now), payload)
}

// confirmations are the functions that wait for an event that shows the effect of a request. It is safe for concurrent
// use.
type confirmations struct {
	mu      sync.Mutex
	waiting map[*func(cytube.Event) bool]struct{}
}

// add has a function called with every event until remove is called. It reports whether the event is what it waits for.
func (c *confirmations) add(f func(cytube.Event) bool) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[*func(cytube.Event) bool]struct{}{}
	}
	c.waiting[&f] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, &f)
	}
}

// offer calls those that wait, which do no I/O, and reports whether one has waited for this event.
func (c *confirmations) offer(event cytube.Event) (awaited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f := range c.waiting {
		if (*f)(event) {
			awaited = true
		}
	}
	return awaited
}

func (c *confirmations) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// action sends a request to CyTube.
type action func(ctx context.Context) error

// matcher reports whether an event shows that a request was done, with a nil error, or refused, with the server's
// reason as error. It is called on Handle's goroutine and may use the Room.
type matcher func(cytube.Event) (matched bool, err error)

// is returns the matcher for one event, which must be comparable.
func is(want cytube.Event) matcher {
	return func(event cytube.Event) (bool, error) { return event == want, nil }
}

// when returns the matcher for the events of a type that meet a condition.
func when[E cytube.Event](condition func(E) bool) matcher {
	return func(event cytube.Event) (bool, error) {
		e, ok := event.(E)
		return ok && condition(e), nil
	}
}

// refused is what a matcher returns for an event with the server's reason.
func refused(html string) (matched bool, err error) { return true, errors.New(cytube.PlainText(html)) }

// actAndWait sends a request and waits for its effect.
func (h *Handler) actAndWait(ctx context.Context, send action, match matcher) error {
	result := make(chan error, 1)
	confirm := func(event cytube.Event) bool {
		matched, err := match(event)
		if matched {
			select {
			case result <- err:
			default: // this is a second event that matches
			}
		}
		return matched
	}
	remove := h.confirmations.add(confirm)
	defer remove()
	if err := send(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	remove() // what comes from now on is late
	select {
	case err := <-result:
		return err
	default:
		return errUnconfirmed
	}
}

// IsUnconfirmed reports whether an error means that something was requested and the server has not shown in time that
// it was done: it may be done yet.
func IsUnconfirmed(err error) bool { return errors.Is(err, errUnconfirmed) }

// turn is had by one at a time of those who wait for effects that look alike, so that nobody takes the effect of what
// somebody else does for that of its own.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn, which release ends, or for the end of ctx.
func (t turn) take(ctx context.Context) (release func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

// during returns a task that has the turn while it runs.
func (t turn) during(do task) task {
	return func(ctx context.Context) ([]string, error) {
		release, err := t.take(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
		return do(ctx)
	}
}

// act returns the task that sends a request, waits for its effect and replies with one line.
func (h *Handler) act(send action, match matcher, done string) task {
	return func(ctx context.Context) ([]string, error) {
		if err := h.actAndWait(ctx, send, match); err != nil {
			return nil, err
		}
		return []string{done}, nil
	}
}

// actAsLine is act for a request that goes through the chat, so that the flood limit counts it.
func (h *Handler) actAsLine(send action, match matcher, done string) task {
	return h.act(func(ctx context.Context) error { return h.Speaker.Do(ctx, send) }, match, done)
}
