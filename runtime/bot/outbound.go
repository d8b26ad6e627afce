package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

const (
	// outboundRound is how many lines are said before the bot pauses to ask again.
	outboundRound = 20
	// outboundMaxRetries has every line tried again after 2, 4 and 8 minutes.
	outboundMaxRetries = 4
	// silence is how long a service that did not acknowledge is not asked to.
	silence = time.Minute
)

// outbound says the lines that wait in the database. run has a goroutine of its own; the session's tells
// it through leave.
type outbound struct {
	bot     *Bot
	voice   *voice
	leave   *leave
	failing bool
	// useless is how many lines of the last answer had been said already.
	useless int
	// silentUntil is until when a report is not asked to be acknowledged, since the last one was not: the
	// Python service never does, and each question would cost the time of waiting for it.
	silentUntil map[bus.Suffix]time.Time
}

func newOutbound(b *Bot, v *voice) *outbound {
	return &outbound{bot: b, voice: v, leave: &leave{}, silentUntil: map[bus.Suffix]time.Time{}}
}

func (o *outbound) run(ctx context.Context) {
	ticker := time.NewTicker(o.bot.timings.Outbound)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		o.reportOverdue(ctx)
		if o.leave.verdict(o.bot.timings.Settle) == unanswered || !o.bot.lead.leads() {
			continue
		}
		for range outboundRound {
			if !o.sayNext(ctx) {
				break
			}
		}
	}
}

// sayNext asks for one line and deals with it, and is false when there is none or nothing came of it.
func (o *outbound) sayNext(ctx context.Context) (progress bool) {
	useless := 0
	for _, line := range o.waiting(ctx) {
		if o.bot.ledger.get(lineKey{line.ID, line.Timestamp}).done {
			useless++
		}
		progress = o.deal(ctx, line) || progress
	}
	o.useless = useless
	return progress && o.bot.lead.leads()
}

// reportOverdue tells of lines that appeared when nobody waited for them any more.
func (o *outbound) reportOverdue(ctx context.Context) {
	for _, key := range o.bot.ledger.finished() {
		o.reportSaid(ctx, key)
	}
}

// waiting asks for the line to say next: just one, so that what is claimed by a bot that dies and was not
// tried is not in doubt. Without an answer there is none: the channel goes on either way. Lines that wait
// here because the service takes no failures, or that it gives out again, must not use up the limit.
func (o *outbound) waiting(ctx context.Context) []bus.OutboundMessage {
	var lines []bus.OutboundMessage
	err := o.bot.requester.Request(ctx, bus.OutboundGet, bus.OutboundGetRequest{
		Limit:      new(1 + o.bot.ledger.held() + o.useless),
		MaxRetries: new(outboundMaxRetries),
		Claimant:   o.bot.instance,
		Origin:     o.bot.here(),
	}, &lines)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && !o.failing:
		o.bot.log.Warn("no lines to say can be had, going on without", "error", err)
	case err == nil && o.failing:
		o.bot.log.Info("lines to say can be had again")
	}
	o.failing = err != nil
	return lines
}

// deal says what of a line was not said yet, and tells the service what became of it. One line's trouble
// is its own: the next is dealt with all the same. It answers whether anything new became of the line.
func (o *outbound) deal(ctx context.Context, line bus.OutboundMessage) (progress bool) {
	key := lineKey{line.ID, line.Timestamp}
	known := o.bot.ledger.get(key)
	if known.isHeld(time.Now()) || ctx.Err() != nil {
		return false
	}
	parts := cytube.SplitLine(line.Message, cytube.MaxLine)
	if !known.done && !o.recall(key, line, parts) {
		// Also when it is given out again before the report has arrived.
		o.bot.ledger.change(key, func(l *ledgerLine) { l.failed(true, time.Now()) })
		return o.reportFailed(ctx, line, answer{
			verdict: doubtful, words: "a bot that had it may have said it, and the channel has gone on since",
		})
	}
	known = o.bot.ledger.get(key)
	for at := known.said; at < len(parts) && !known.done; at++ {
		if got := o.say(ctx, key, parts, at); got.verdict != said {
			return o.reportFailed(ctx, line, got)
		}
	}
	o.reportSaid(ctx, key)
	return !known.done
}

// say says a part of a line. It is in the ledger from before it is sent until it is known not to appear.
func (o *outbound) say(ctx context.Context, key lineKey, parts []string, at int) answer {
	switch verdict := o.leave.verdict(o.bot.timings.Settle); verdict {
	case said:
	case unanswered:
		return answer{verdict: gone} // it stays ours until it is clear whether the bot may chat
	default:
		return answer{verdict: verdict, words: "the bot may not chat in the channel"}
	}
	o.bot.ledger.change(key, func(l *ledgerLine) {
		l.overdue, l.sent, l.parts = shownAs(parts[at]), time.Now(), len(parts)
	})
	got := o.voice.speak(ctx, utterance{text: parts[at]})
	o.bot.ledger.change(key, func(l *ledgerLine) {
		switch {
		case l.said > at:
			got.verdict = said // it came just when the wait for it was over
		case got.verdict == said:
			l.said, l.overdue = at+1, ""
		case got.unsent || got.verdict != gone && got.verdict != unanswered:
			l.overdue = ""
		}
	})
	return got
}

func (o *outbound) reportSaid(ctx context.Context, key lineKey) {
	again := o.bot.ledger.get(key).done
	o.bot.ledger.change(key, func(l *ledgerLine) { l.done = true })
	if !again {
		o.bot.metrics.outbound.WithLabelValues(string(said)).Inc()
		o.bot.log.Info("line said", "id", key.id)
	}
	now := time.Now()
	payload := bus.OutboundSentPayload{MessageID: &key.id, Origin: o.bot.origin(now)}
	if o.acknowledged(ctx, bus.OutboundSent, payload) == nil {
		return
	}
	// Kept and sent when it can be; a report that arrives twice changes nothing.
	o.bot.publisher.Publish(bus.OutboundSent, o.bot.ids.Next(now), payload)
	o.bot.log.Debug(fmt.Sprintf("told: outbound_sent %d", key.id))
}

// reportFailed tells why a line was not said. A line that was on its way when the connection ended stays
// ours, and is looked for among the lines that the server repeats. It answers whether it told anything.
func (o *outbound) reportFailed(ctx context.Context, line bus.OutboundMessage, got answer) bool {
	if got.verdict == gone {
		return false
	}
	o.bot.metrics.outbound.WithLabelValues(string(got.verdict)).Inc()
	// A command comes back as a line or not at all, so nobody knows whether it worked: one that did must not
	// be given again, and one that the bot's rank does not allow never works.
	command := got.verdict == unanswered && isCommand(line)
	permanent := got.verdict == muted || got.verdict == forbidden || got.verdict == doubtful || command
	o.bot.log.Warn("a line did not appear in the channel", "id", line.ID, "why", got.verdict, "words", got.words,
		"permanent", permanent)
	err := o.acknowledged(ctx, bus.OutboundFailed, bus.OutboundFailedPayload{
		MessageID: &line.ID, Error: got.text(), Permanent: permanent, RetryCount: &line.RetryCount,
		Claimant: o.bot.instance, Origin: o.bot.origin(time.Now()),
	})
	if err == nil || ctx.Err() != nil {
		return true
	}
	o.bot.log.Debug("the service does not take the failure, the bot remembers it", "error", err)
	o.bot.ledger.change(lineKey{line.ID, line.Timestamp}, func(l *ledgerLine) { l.failed(permanent, time.Now()) })
	return true
}

// acknowledged reports by a request, so that it is known to be stored.
func (o *outbound) acknowledged(ctx context.Context, suffix bus.Suffix, payload any) error {
	if time.Now().Before(o.silentUntil[suffix]) {
		return fmt.Errorf("reporting on %s: %w", suffix, bus.ErrNoReply)
	}
	var ack bus.Ack
	if err := o.bot.optional.Request(ctx, suffix, payload, &ack); err != nil {
		if errors.Is(err, bus.ErrNoReply) {
			o.silentUntil[suffix] = time.Now().Add(silence)
		}
		return err
	}
	if !ack.Success {
		return fmt.Errorf("reporting on %s: the service says: %s", suffix, ack.Error)
	}
	return nil
}
