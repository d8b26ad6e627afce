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

// leads reports whether this bot holds the leadership now, and so may act in the channel. It does not block.
func (b *Bot) leads() bool {
	if b.elector == nil {
		return true
	}
	leadership := b.leadership.Load()
	return leadership != nil && leadership.Valid()
}

// Leader returns the pod of the bot that leads, as far as this bot knows. It is empty when the bot does not know, and
// without an Elector.
func (b *Bot) Leader() string {
	leadership := b.leadership.Load()
	switch {
	case b.elector == nil:
		return ""
	case leadership == nil:
		other, _ := b.otherLeader.Load().(string)
		return other
	case leadership.Valid():
		return b.elector.Pod()
	}
	return leadership.NewHolder()
}

// standBy waits for the leadership and stays in the channel while it lasts, again and again until ctx ends.
func (b *Bot) standBy(ctx context.Context, next *attempt) {
	for ctx.Err() == nil {
		leadership, err := b.elector.Acquire(ctx, b.reportStandby)
		if err != nil {
			return // ctx has ended
		}
		if resigned := b.lead(ctx, leadership, next); resigned {
			// Without the pause this bot could acquire the leadership again before any other.
			backoff.Sleep(ctx, b.timings.ResignPause)
		}
	}
}

// lead stays in the channel until ctx ends, the leadership is lost, or the bot resigns it.
func (b *Bot) lead(ctx context.Context, leadership *leader.Leadership, next *attempt) (resigned bool) {
	b.leadership.Store(leadership)
	b.reportAcquired(leadership.Reason())
	leading, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-leadership.Lost():
			stop()
		case <-leading.Done():
		}
	})
	b.answering(leading, func() { b.servingPlugins(leading, func() { b.keepJoined(leading, next) }) })
	resigned = leading.Err() == nil
	stop()
	watching.Wait()
	// The next leader must not join before the server has noticed that this bot left.
	b.closing.Wait()
	b.release(ctx, leadership, resigned)
	return resigned
}

// release releases a leadership, unless it was lost, and reports how it ended.
func (b *Bot) release(ctx context.Context, leadership *leader.Leadership, resigned bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := leadership.Release(ctx); err != nil {
		b.log.WarnContext(ctx, "cannot release the leadership; the next leader has to wait until it expires", "error", err)
	}
	newHolder := leadership.NewHolder()
	b.otherLeader.Store(newHolder)
	b.leadership.Store(nil)
	b.reportReleased(newHolder, resigned)
}

// shouldResign reports whether the leader has been unable to join for long, for a reason that may not apply to another
// bot on another machine.
func (b *Bot) shouldResign(problem *cytube.Error) bool {
	leadership := b.leadership.Load()
	if leadership == nil || leadership.Alone() || time.Since(b.lastInChannel) < b.timings.ResignAfter {
		return false
	}
	switch problem.Reason {
	case status.ReasonServerUnreachable, status.ReasonConnectionLimited, status.ReasonLoginLimited:
		return true
	default:
		return isPasswordAbsent(problem.Reason)
	}
}
