package pluginclient

import (
	"context"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/speech"
)

const (
	// maxWaiting and maxAnswers are how many lines of a plugin may wait: those that it says by itself, and all.
	maxWaiting = 20
	maxAnswers = 60
)

// utterance is lines that belong together.
type utterance struct {
	plugin string
	// lines are those that were not said yet. Once the utterance waits they are guarded by talker.mu, but only run
	// changes them.
	lines []string
	// to is the user who gets them as private messages. Empty: they are for the channel.
	to      string
	expires time.Time
	// most is how many lines of the plugin may wait, these included.
	most int
	// revoked returns why they may not be said any more, and "" while they may. Nil: they may in any case.
	revoked func() (why string)
	// done is told what became of them, once.
	done func(bus.PluginOutcome)
}

// refused returns what became of an utterance that may not be said any more, or nil.
func (u *utterance) refused() *bus.PluginOutcome {
	if u.revoked == nil {
		return nil
	}
	if why := u.revoked(); why != "" {
		return failed(why)
	}
	return nil
}

// talker says what plugins say, line by line in turns: each plugin that has something to say says one line. It is safe
// for concurrent use.
type talker struct {
	metrics *metrics
	wake    chan struct{}

	mu sync.Mutex
	// queues are by plugin, and turns the plugins that have one, the next first.
	queues map[string][]*utterance
	turns  []string
	ended  bool
	// saying is the utterance of which a line is being said, and cancel ends the attempt. Nil: there is none.
	saying *utterance
	cancel context.CancelFunc
}

func newTalker(m *metrics) *talker {
	return &talker{metrics: m, wake: make(chan struct{}, 1), queues: map[string][]*utterance{}}
}

// add has lines said, unless too many wait.
func (t *talker) add(u *utterance) {
	if outcome := t.enqueue(u); outcome != nil {
		t.finish(u, *outcome)
		return
	}
	select {
	case t.wake <- struct{}{}:
	default: // it is about to look
	}
}

// enqueue returns nil, or what became of an utterance that is not to be said.
func (t *talker) enqueue(u *utterance) *bus.PluginOutcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	if refused := u.refused(); refused != nil {
		return refused
	}
	waiting := len(u.lines)
	for _, other := range t.queues[u.plugin] {
		waiting += len(other.lines)
	}
	switch {
	case len(u.lines) == 0:
		return &bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
	case t.ended:
		return failed(errLeft.Error())
	case waiting > u.most:
		return &bus.PluginOutcome{Outcome: bus.OutcomeThrottled, Error: "too many lines of the plugin wait to be said"}
	}
	if len(t.queues[u.plugin]) == 0 {
		t.turns = append(t.turns, u.plugin)
	}
	t.queues[u.plugin] = append(t.queues[u.plugin], u)
	return nil
}

// run says what was added until ctx ends. Then it drops the rest.
func (t *talker) run(ctx context.Context, channel Channel) {
	for ctx.Err() == nil {
		u := t.first()
		if u == nil {
			select {
			case <-ctx.Done():
			case <-t.wake:
			}
			continue
		}
		t.sayLine(ctx, channel, u)
	}
	t.end()
}

// first returns the utterance whose turn it is, or nil.
func (t *talker) first() *utterance {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.turns) == 0 {
		return nil
	}
	return t.queues[t.turns[0]][0]
}

// sayLine says the next line of the first utterance, and ends the turn of its plugin.
func (t *talker) sayLine(ctx context.Context, channel Channel, u *utterance) {
	limited, cancel := context.WithDeadline(ctx, u.expires)
	defer cancel()
	t.mu.Lock()
	if len(t.turns) == 0 || t.queues[t.turns[0]][0] != u {
		t.mu.Unlock()
		return // recheck has removed it
	}
	t.saying, t.cancel = u, cancel
	t.mu.Unlock()
	got := channel.Say(limited, speech.Message{To: u.to, Text: u.lines[0], Yielding: true})
	wasSaid := got.Outcome == speech.Said
	if wasSaid {
		t.metrics.countLine(u.plugin)
	}
	refused := u.refused()
	isOver := t.endTurn(u, wasSaid, refused != nil)
	outcome := bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
	switch {
	case !isOver:
		return
	case wasSaid && len(u.lines) == 0:
	case refused != nil:
		outcome = *refused
	case ctx.Err() != nil:
		outcome = *failed(errLeft.Error())
	case limited.Err() != nil:
		outcome = *failed("it was not said in time")
	case got.Outcome == speech.Throttled:
		outcome = bus.PluginOutcome{Outcome: bus.OutcomeThrottled, Error: got.String()}
	default:
		outcome = *failed(got.String())
	}
	t.finish(u, outcome)
}

// endTurn puts the first plugin behind the others, and reports whether its first utterance is over: its line was not
// said, or was the last one, or the rest may not be said.
func (t *talker) endTurn(u *utterance, wasSaid, isRefused bool) (isOver bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saying, t.cancel = nil, nil
	if wasSaid {
		u.lines = u.lines[1:]
	}
	isOver = !wasSaid || isRefused || len(u.lines) == 0
	name := t.turns[0]
	t.turns = t.turns[1:]
	if isOver {
		t.queues[name] = t.queues[name][1:]
	}
	if len(t.queues[name]) > 0 {
		t.turns = append(t.turns, name)
	} else {
		delete(t.queues, name)
	}
	return isOver
}

// recheck drops what a plugin may not say any more.
func (t *talker) recheck(plugin string) {
	dropped := map[*utterance]*bus.PluginOutcome{}
	t.mu.Lock()
	t.queues[plugin] = slices.DeleteFunc(t.queues[plugin], func(u *utterance) bool {
		refused := u.refused()
		if refused != nil && u == t.saying {
			t.cancel() // sayLine does the rest
			return false
		}
		if refused != nil {
			dropped[u] = refused
		}
		return refused != nil
	})
	if len(t.queues[plugin]) == 0 {
		delete(t.queues, plugin)
		t.turns = slices.DeleteFunc(t.turns, func(name string) bool { return name == plugin })
	}
	t.mu.Unlock()
	for u, refused := range dropped {
		t.finish(u, *refused)
	}
}

// end drops what waits.
func (t *talker) end() {
	t.mu.Lock()
	t.ended = true
	var dropped []*utterance
	for _, name := range t.turns {
		dropped = slices.Concat(dropped, t.queues[name])
	}
	t.queues, t.turns = map[string][]*utterance{}, nil
	t.mu.Unlock()
	for _, u := range dropped {
		t.finish(u, *failed(errLeft.Error()))
	}
}

// finish counts what became of an utterance and tells who wants to know.
func (t *talker) finish(u *utterance, outcome bus.PluginOutcome) {
	if !outcome.Success {
		t.metrics.countDropped(u.plugin, outcome.Outcome, len(u.lines))
	}
	u.done(outcome)
}
