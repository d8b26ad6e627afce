package bot

import (
	"sync"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// serverFlood is CyTube's own limit for the lines and private messages of one user together
// (src/channel/chat.js of calzoneman/sync).
var serverFlood = cytube.FloodLimit{Burst: 20, Sustained: 10, Cooldown: 2 * time.Second}

// pacer keeps what we say within the server's flood rules, by counting as the server counts.
type pacer struct {
	mu    sync.Mutex
	limit cytube.FloodLimit
	count int
	last  time.Time
	// notBefore is what the server told us to wait for.
	notBefore time.Time
}

func newPacer() *pacer { return &pacer{limit: serverFlood} }

func (p *pacer) setLimit(limit cytube.FloodLimit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
}

// spare is added where lines must not come faster than at a pace: on the way they can get closer.
const spare = 50 * time.Millisecond

// delay is how long to wait before the next line.
func (p *pacer) delay(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := p.notBefore.Sub(now)
	if p.count >= p.limit.Burst && p.limit.Sustained > 0 && now.Sub(p.last) <= p.limit.Cooldown {
		pace := time.Duration(float64(time.Second)/p.limit.Sustained) + spare
		wait = max(wait, p.last.Add(pace).Sub(now))
	}
	return max(0, wait)
}

// sent counts a line.
func (p *pacer) sent(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) > p.limit.Cooldown {
		p.count = 0
	}
	p.count++
	p.last = now
}

// refused takes in that the server had enough.
func (p *pacer) refused(wait time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = max(p.count, p.limit.Burst)
	p.notBefore = now.Add(wait + spare)
}
