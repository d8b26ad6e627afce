package bot

import (
	"fmt"

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
