package speech

import (
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// serverFlood is CyTube's own limit for the lines and private messages of one user together
// (src/channel/chat.js of calzoneman/sync).
var serverFlood = cytube.FloodLimit{Burst: 20, Sustained: 10, Cooldown: 2 * time.Second}

const (
	// maxThrottled is how many attempts a message has that the server throttles.
	maxThrottled = 5
	// spare is added to pauses that the server requires: messages can get closer to each other on the way.
	spare = 50 * time.Millisecond
	// maxYield is how long a message that yields waits for a part of the burst that is left to it.
	maxYield = 5 * time.Second
)

// pacer keeps what the bot says within the server's flood limit by counting as the server counts: lines and private
// messages with one counter, and some commands several times.
type pacer struct {
	// channel is the limit for lines in the channel; that for private messages is always serverFlood.
	channel cytube.FloodLimit
	count   int
	// last is when the server counted the last message that it did not refuse: not later than this.
	last time.Time
	// notBefore ends the pause that the server required.
	notBefore time.Time
}

func newPacer() *pacer { return &pacer{channel: serverFlood} }

// setLimit sets the channel's own limit. Nil: the server's.
func (p *pacer) setLimit(limit *cytube.FloodLimit) {
	p.channel = serverFlood
	if limit != nil {
		p.channel = *limit
	}
}

func (p *pacer) limit(m Message) cytube.FloodLimit {
	if m.To != "" {
		return serverFlood
	}
	return p.channel
}

// fits reports whether the server can ever accept a message: it refuses one that counts more often than a burst allows,
// however long the pause before it is.
func (p *pacer) fits(m Message) bool { return m.weight() <= max(1, p.limit(m).Burst) }

// delay returns how long to wait before a message. One that counts several times in the same moment is accepted only
// within a burst.
func (p *pacer) delay(m Message, now time.Time) time.Duration {
	limit, wait := p.limit(m), p.notBefore.Sub(now)
	cooled := p.last.Add(limit.Cooldown + spare)
	switch {
	case p.count+m.weight() <= limit.Burst || !now.Before(cooled):
	case m.weight() > 1:
		wait = max(wait, cooled.Sub(now))
	case limit.Sustained > 0:
		pace := time.Duration(float64(time.Second)/limit.Sustained) + spare
		wait = max(wait, min(p.last.Add(pace).Sub(now), cooled.Sub(now)))
	}
	return max(0, wait)
}

// yield returns how long a message that yields waits, so that half of a burst is left for others.
func (p *pacer) yield(m Message, now time.Time) time.Duration {
	limit := p.limit(m)
	cooled := p.last.Add(limit.Cooldown + spare)
	if p.count+m.weight() <= max(1, limit.Burst/2) || !now.Before(cooled) {
		return 0
	}
	return cooled.Sub(now)
}

// sent counts a message.
func (p *pacer) sent(m Message, now time.Time) {
	limit := p.limit(m)
	for range m.weight() {
		if now.Sub(p.last) > limit.Cooldown {
			p.count = 0
		}
		if p.count < limit.Burst {
			p.count++
		}
		p.last = now
	}
}

// answered notes that the server has handled the last message by now: it may have taken long to get there, and the next
// one may not.
func (p *pacer) answered(now time.Time) { p.last = now }

// throttled notes that the server refused a message because there were too many, for the attempts-th time, and when it
// takes the next. A message that is refused again waits until the server accepts a burst again.
func (p *pacer) throttled(m Message, wait time.Duration, attempts int, now time.Time) {
	limit := p.limit(m)
	if attempts > 1 {
		wait = max(wait, limit.Cooldown)
	}
	p.count = max(p.count, limit.Burst)
	p.notBefore = now.Add(wait + spare)
}
