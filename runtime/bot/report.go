package bot

import (
	"fmt"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// The messages of the channel check hold no numbers that move: a status that changes all the time
// cannot be told from news.

func (b *Bot) reportJoined(name string) {
	who := "an anonymous watcher"
	if name != "" {
		who = name
	}
	message := fmt.Sprintf("in channel %s as %s", b.config.Channel.Name, who)
	b.check.Set(true, status.ReasonJoined, message)
	b.log.Info(message, "server", b.config.Channel.Server)
}

// reportFailed tells why the bot is not in the channel, once for each reason: it may stay so for days.
func (b *Bot) reportFailed(problem *cytube.Error) {
	if !isAbsent(problem.Reason) {
		b.metrics.reconnects.WithLabelValues(string(problem.Reason)).Inc()
	}
	if b.check.Set(false, problem.Reason, problem.Message) {
		b.log.Warn("not in the channel", "reason", problem.Reason, "error", problem)
		return
	}
	b.log.Debug("still not in the channel", "reason", problem.Reason, "error", problem)
}

func (b *Bot) reportStopping() {
	b.check.Set(false, status.ReasonStopping, "left channel "+b.config.Channel.Name)
}

// How a term with the lock ended: values of the label cause, beside those of leader.AcquireReason.
const (
	lockLost   = "lost"    // another bot has it
	lockEnded  = "ended"   // the bot stops
	lockGaveUp = "gave_up" // the bot cannot get in, another may
)

// reportLock tells that the bot came to the lock or lost it.
func (b *Bot) reportLock(cause, to string) {
	b.metrics.transitions.WithLabelValues(cause).Inc()
	switch cause {
	case lockLost:
		b.log.Info("another bot has the lock, standing by", "pod", to)
	case lockEnded:
		b.log.Info("gave the lock back")
	case lockGaveUp:
		b.log.Warn("gave the lock back: this bot cannot get into the channel, another may")
	default:
		b.log.Info("this bot has the lock", "cause", cause)
	}
}

// reportStandby tells what a bot without the lock sees of it.
func (b *Bot) reportStandby(sight leader.Observation) {
	b.lead.set(nil, sight.Holder)
	ok, reason, message := false, status.ReasonNoLeader, "no bot of ours has the lock"
	switch {
	case sight.Err != nil:
		reason, message = status.ReasonLockUnavailable, sight.Err.Error()
	case sight.Holder != "":
		ok, reason, message = true, status.ReasonStandby, "standing by for "+sight.Holder+", which has the lock"
	}
	if b.check.Set(ok, reason, message) {
		b.log.Info(message, "reason", reason)
	}
}

// reportUnsure tells that the bot waits for its own lock before it goes into the channel.
func (b *Bot) reportUnsure(term *leader.Leadership) {
	why := "another bot may have it"
	if err := term.Err(); err != nil {
		why = err.Error()
	}
	message := "not in the channel until the lock is renewed: " + why
	if b.check.Set(false, status.ReasonLockUnavailable, message) {
		b.log.Warn(message)
	}
}
