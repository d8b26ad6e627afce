package bot

import (
	"fmt"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
)

// The messages of the channel check hold no numbers that move: a status that changes all the time
// cannot be told from news.

func (b *Bot) reportJoined(name string) {
	who := "an anonymous watcher"
	if name != "" {
		who = name
	}
	message := fmt.Sprintf("in channel %s as %s", b.config.Channel.Name, who)
	b.check.Set(true, config.ReasonJoined, message)
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
	b.check.Set(false, config.ReasonStopping, "left channel "+b.config.Channel.Name)
}

// How a term with the lock ended: values of the label cause, beside those of bus.Takeover.
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
func (b *Bot) reportStandby(sight bus.Sight) {
	b.lead.set(nil, sight.Holder)
	ok, reason, message := false, config.ReasonNoLeader, "no bot of ours has the lock"
	switch {
	case sight.Err != nil:
		reason, message = config.ReasonLockUnavailable, sight.Err.Error()
	case sight.Holder != "":
		ok, reason, message = true, config.ReasonStandby, "standing by for "+sight.Holder+", which has the lock"
	}
	if b.check.Set(ok, reason, message) {
		b.log.Info(message, "reason", reason)
	}
}

// reportUnsure tells that the bot waits for its own lock before it goes into the channel.
func (b *Bot) reportUnsure(term *bus.Term) {
	why := "another bot may have it"
	if err := term.Problem(); err != nil {
		why = err.Error()
	}
	message := "not in the channel until the lock is renewed: " + why
	if b.check.Set(false, config.ReasonLockUnavailable, message) {
		b.log.Warn(message)
	}
}
