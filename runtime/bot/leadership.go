package bot

import (
	"context"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// leadership is what a bot knows of being the one in the channel.
type leadership struct {
	// lock is nil for a bot that is the only one.
	lock *leader.Elector

	mu sync.Mutex
	// term is nil while the bot stands by.
	term *leader.Leadership
	// other is the pod that was last seen to have the lock.
	other string
	// lastIn is when the bot was last in the channel, or became the one to be there.
	lastIn time.Time
}

func newLeadership(lock *leader.Elector) *leadership { return &leadership{lock: lock} }

func (l *leadership) set(term *leader.Leadership, other string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term, l.other = term, other
}

func (l *leadership) current() *leader.Leadership {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term
}

// leads is true while no other bot of ours can be in the channel, or about to be. It never blocks.
func (l *leadership) leads() bool {
	if l.lock == nil {
		return true
	}
	term := l.current()
	return term != nil && term.Valid()
}

func (l *leadership) gauge() float64 {
	if l.leads() {
		return 1
	}
	return 0
}

func (l *leadership) sighted(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastIn = at
}

func (l *leadership) outSince() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastIn
}

// Leader is the pod of the bot that has the lock, as far as this bot knows. Empty: it does not know, or there
// is no lock.
func (b *Bot) Leader() string {
	b.lead.mu.Lock()
	defer b.lead.mu.Unlock()
	switch {
	case b.lead.lock == nil:
		return ""
	case b.lead.term == nil:
		return b.lead.other
	case b.lead.term.Valid():
		return b.lead.lock.Pod()
	}
	return b.lead.term.NewHolder()
}

// takeTurns waits for the lock and stays in the channel with it, again and again until ctx ends.
func (b *Bot) takeTurns(ctx context.Context, tries *joinBackoff) {
	for ctx.Err() == nil {
		term, err := b.lead.lock.Acquire(ctx, b.reportStandby)
		if err != nil {
			return // ctx has ended
		}
		if gaveUp := b.serve(ctx, term, tries); gaveUp {
			// Others must come first, or nothing was won by giving up.
			backoff.Sleep(ctx, b.timings.StandBack)
		}
	}
}

// serve is one term: in the channel until ctx ends, the lock is lost, or it is given up.
func (b *Bot) serve(ctx context.Context, term *leader.Leadership, tries *joinBackoff) (gaveUp bool) {
	b.lead.set(term, "")
	b.reportLock(string(term.Reason()), "")
	b.check.Set(false, status.ReasonStarting, "joining channel "+b.config.Channel.Name)
	leading, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-term.Lost():
			stop()
		case <-leading.Done():
		}
	})
	b.stay(leading, tries)
	gaveUp = leading.Err() == nil
	stop()
	watching.Wait()
	// First out of the channel, and the server has noticed; then another may come.
	b.closing.Wait()
	b.endTerm(ctx, term, gaveUp)
	return gaveUp
}

// endTerm gives the lock back if it is still ours, and says how the term ended.
func (b *Bot) endTerm(ctx context.Context, term *leader.Leadership, gaveUp bool) {
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timings.Leave)
	defer cancel()
	if err := term.Release(releasing); err != nil {
		b.log.Warn("the lock is not given back, the next bot waits until it expires", "error", err)
	}
	b.lead.set(nil, term.NewHolder())
	switch {
	case term.NewHolder() != "":
		b.reportLock(lockLost, term.NewHolder())
	case gaveUp:
		b.reportLock(lockGaveUp, "")
	default:
		b.reportLock(lockEnded, "")
	}
}

// mayJoin waits until the bot may try to get in, and is false when ctx ended first.
func (b *Bot) mayJoin(ctx context.Context, tries *joinBackoff) bool {
	if rest := time.Until(tries.due); rest > 0 {
		b.check.Set(false, tries.because.Reason, tries.because.Message)
		if !backoff.Sleep(ctx, rest) {
			return false
		}
	}
	for !b.lead.leads() {
		b.reportUnsure(b.lead.current())
		if !backoff.Sleep(ctx, b.timings.Lock) {
			return false
		}
	}
	return ctx.Err() == nil
}

// isReplaced is true when the server threw us out for a bot of ours, or may have. Then nothing went wrong.
func (b *Bot) isReplaced(ctx context.Context, problem *cytube.Error) bool {
	term := b.lead.current()
	if term == nil || problem.Reason != status.ReasonDuplicateLogin {
		return false
	}
	// A lock that is ours after the kick was ours before it: somebody else logs in with our account.
	return !term.Confirm(ctx)
}

// anotherShouldTry is true for a bot with the lock that is kept out for long by what may not keep out
// another one, on another machine.
func (b *Bot) anotherShouldTry(problem *cytube.Error) bool {
	if b.lead.current() == nil || time.Since(b.lead.outSince()) < b.timings.GiveUp {
		return false
	}
	switch problem.Reason {
	case status.ReasonServerUnreachable, status.ReasonConnectionLimited, status.ReasonLoginLimited:
		return true
	default:
		return isAbsent(problem.Reason)
	}
}
