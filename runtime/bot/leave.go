package bot

import (
	"sync"
	"time"
)

// leave is whether the bot may chat, as the session tells it and outbound asks.
type leave struct {
	mu    sync.Mutex
	state verdict
	since time.Time
}

// set notes said for yes; muted or forbidden for no; unanswered while it is not known, or never will be.
func (l *leave) set(state verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != state {
		l.state, l.since = state, time.Now()
	}
}

// verdict is unanswered until a no has lasted for settle: on joining the bot's rank in the channel comes
// last, and a line given up in between would be lost.
func (l *leave) verdict(settle time.Duration) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == said || l.state != "" && time.Since(l.since) >= settle {
		return l.state
	}
	return unanswered
}

// chatLeave is the state for leave.set.
func (c *channel) chatLeave() verdict {
	switch {
	case c.self == "" || c.permissions.ranks == nil:
		return unanswered
	case c.me().Muted:
		return muted
	case !c.mayChat():
		return forbidden
	}
	return said
}
