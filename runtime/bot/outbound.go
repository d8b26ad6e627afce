package bot

import (
	"context"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// What the bot asks for: the same as the Python bot does.
const (
	outboundLimit      = 20
	outboundMaxRetries = 3
)

// forgetSaid is when a line that was said is no longer remembered. By then the service has long stored
// that it was said.
const forgetSaid = 10 * time.Minute

// lineKey is an outbound line. The time is part of it because a new database begins its ids anew.
type lineKey struct{ id, enqueued int64 }

// outbound says the lines that wait in the database. It says one at a time and waits until it comes
// back, so that the echo needs no matching: the server rewrites the text.
//
// run has a goroutine of its own; the session's talks to it through allowed and heard.
type outbound struct {
	bot     *Bot
	conn    *cytube.Conn
	allowed atomic.Bool
	echo    chan struct{}
	failing bool
}

func newOutbound(b *Bot, conn *cytube.Conn) *outbound {
	return &outbound{bot: b, conn: conn, echo: make(chan struct{}, 1)}
}

// heard tells that a line under our name appeared in the channel.
func (o *outbound) heard() {
	select {
	case o.echo <- struct{}{}:
	default:
	}
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
		if !o.allowed.Load() {
			continue
		}
		for _, line := range o.waiting(ctx) {
			if o.allowed.Load() {
				o.deal(ctx, line)
			}
		}
	}
}

// waiting asks for the lines to say. Without an answer there are none: the channel goes on either way.
func (o *outbound) waiting(ctx context.Context) []bus.OutboundMessage {
	var lines []bus.OutboundMessage
	err := o.bot.requester.Request(ctx, bus.OutboundGet, bus.OutboundGetRequest{
		Limit:      new(outboundLimit),
		MaxRetries: new(outboundMaxRetries),
		Origin:     bus.Origin{Server: o.bot.config.Channel.Server, Channel: o.bot.config.Channel.Name},
	}, &lines)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && !o.failing:
		o.bot.log.Warn("[NATS] no lines to say can be had, going on without", "error", err)
	case err == nil && o.failing:
		o.bot.log.Info("[NATS] lines to say can be had again")
	}
	o.failing = err != nil
	return lines
}

// deal says a line and tells the service, unless it was said and the service does not know yet.
func (o *outbound) deal(ctx context.Context, line bus.OutboundMessage) {
	key := lineKey{line.ID, line.Timestamp}
	if _, done := o.bot.said[key]; done {
		o.bot.publishSent(line.ID, time.Now())
		return
	}
	if !o.say(ctx, line.Message) {
		if ctx.Err() == nil {
			o.bot.log.Warn("a line did not appear in the channel, it stays to be said", "id", line.ID)
		}
		return
	}
	now := time.Now()
	o.bot.publishSent(line.ID, now)
	o.bot.log.Info("line said", "id", line.ID, "retries", line.RetryCount)
	maps.DeleteFunc(o.bot.said, func(_ lineKey, at time.Time) bool { return now.Sub(at) > forgetSaid })
	o.bot.said[key] = now
	o.pause(ctx)
}

// say answers whether the line was seen in the channel. If not, it still waits in the database.
func (o *outbound) say(ctx context.Context, text string) bool {
	if strings.TrimSpace(text) == "" {
		return true // the server shows nothing for it, so there is nothing to wait for
	}
	select {
	case <-o.echo: // of a line that took too long
	default:
	}
	if ctx.Err() != nil || o.conn.Say(ctx, text) != nil {
		return false // the connection is gone; the session ends with the reason
	}
	late := time.NewTimer(o.bot.timings.Echo)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-late.C:
		return false
	case <-o.echo:
		return true
	}
}

func (o *outbound) pause(ctx context.Context) {
	pace := time.NewTimer(o.bot.timings.Pace)
	defer pace.Stop()
	select {
	case <-ctx.Done():
	case <-pace.C:
	}
}
