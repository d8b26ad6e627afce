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
)

// pacer keeps what the bot says within the server's flood limit by counting as the server counts.
type pacer struct {
	limit cytube.FloodLimit
	count int
	last  time.Time
	// notBefore ends the pause that the server required.
	notBefore time.Time
}

func newPacer() *pacer { return &pacer{limit: serverFlood} }

// setLimit sets the channel's own limit. Nil: the server's.
func (p *pacer) setLimit(limit *cytube.FloodLimit) {
	p.limit = serverFlood
	if limit != nil {
		p.limit = *limit
	}
}

// delay returns how long to wait before the next message.
func (p *pacer) delay(now time.Time) time.Duration {
	wait := p.notBefore.Sub(now)
	if p.count >= p.limit.Burst && p.limit.Sustained > 0 && now.Sub(p.last) <= p.limit.Cooldown {
		pace := time.Duration(float64(time.Second)/p.limit.Sustained) + spare
		wait = max(wait, p.last.Add(pace).Sub(now))
	}
	return max(0, wait)
}

// sent counts a message.
func (p *pacer) sent(now time.Time) {
	if now.Sub(p.last) > p.limit.Cooldown {
		p.count = 0
	}
	p.count++
	p.last = now
}

// throttled notes that the server dropped a message because there were too many, and when it takes the next.
func (p *pacer) throttled(wait time.Duration, now time.Time) {
	p.count = max(p.count, p.limit.Burst)
	p.notBefore = now.Add(wait + spare)
}
