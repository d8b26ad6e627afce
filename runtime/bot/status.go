package bot

import (
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// Check returns status.ChannelCheck: whether the bot is in its channel, or stands by for another that is.
func (b *Bot) Check() status.Check { return b.check.Check() }

// The messages of the check contain no numbers that change all the time: the operator writes every new message to the
// status of the RoseyBot.

func (b *Bot) reportJoined(name string) {
	if name == "" {
		name = "an anonymous watcher"
	}
	message := fmt.Sprintf("in channel %s as %s", b.config.Channel.Name, name)
	b.check.Set(true, status.ReasonJoined, message)
	b.log.Info(message, "server", b.config.Channel.Server)
}

// reportFailed records why the bot is not in the channel. It logs a reason once: a cause may last for days.
func (b *Bot) reportFailed(problem *cytube.Error) {
	if !isPasswordAbsent(problem.Reason) {
		b.metrics.reconnects.WithLabelValues(string(problem.Reason)).Inc()
	}
	if b.check.Set(false, problem.Reason, problem.Message) {
		b.log.Warn("not in the channel", "reason", problem.Reason, "error", problem)
		return
	}
	b.log.Debug("still not in the channel", "reason", problem.Reason, "error", problem)
}

// malformedInterval is the time between two entries of the log about malformed frames. All are counted.
const malformedInterval = time.Minute

func (s *session) reportMalformed(err *cytube.FrameError, now time.Time) {
	if now.Sub(s.malformedAt) >= malformedInterval {
		s.malformedAt = now
		s.log.Warn("malformed frame dropped", "kind", err.Kind, "bytes", err.Size)
	}
}

func (b *Bot) reportStopping() {
	b.check.Set(false, status.ReasonStopping, "left channel "+b.config.Channel.Name)
}

// How a leadership ended: values of the metric label cause, besides those of leader.AcquireReason.
const (
	leadershipLost     = "lost"    // another bot has it
	leadershipEnded    = "ended"   // the bot stops
	leadershipResigned = "gave_up" // the bot cannot join the channel, but another bot may
)

func (b *Bot) reportAcquired(reason leader.AcquireReason) {
	b.metrics.transitions.WithLabelValues(string(reason)).Inc()
	b.log.Info("this bot is the leader", "reason", reason)
	b.check.Set(false, status.ReasonStarting, "joining channel "+b.config.Channel.Name)
}

func (b *Bot) reportReleased(newHolder string, resigned bool) {
	cause := leadershipEnded
	switch {
	case newHolder != "":
		cause = leadershipLost
		b.log.Info("another bot is the leader; standing by", "leader", newHolder)
	case resigned:
		cause = leadershipResigned
		b.log.Warn("leadership released: this bot cannot join the channel, but another one may")
	default:
		b.log.Info("leadership released")
	}
	b.metrics.transitions.WithLabelValues(cause).Inc()
}

// reportStandby records what a candidate observes. It is called after every poll.
func (b *Bot) reportStandby(seen leader.Observation) {
	b.otherLeader.Store(seen.Holder)
	ok, reason, message := false, status.ReasonNoLeader, "no bot is the leader"
	switch {
	case seen.Err != nil:
		reason, message = status.ReasonLockUnavailable, seen.Err.Error()
	case seen.Holder != "" && b.elector.Alone(): // it is no standby, so it must not seem to be one
		reason, message = status.ReasonStarting, "waiting until "+seen.Holder+", which leads, has left the channel"
	case seen.Holder != "":
		ok, reason, message = true, status.ReasonStandby, "standing by for the leader "+seen.Holder
	}
	if b.check.Set(ok, reason, message) {
		b.log.Info(message, "reason", reason)
	}
}

// reportUnconfirmed records that the bot waits until its leadership is confirmed before it joins the channel.
func (b *Bot) reportUnconfirmed(leadership *leader.Leadership) {
	why := "another bot may have become the leader"
	if err := leadership.Err(); err != nil {
		why = err.Error()
	}
	message := "not joining the channel until the leadership is renewed: " + why
	if b.check.Set(false, status.ReasonLockUnavailable, message) {
		b.log.Warn(message)
	}
}
