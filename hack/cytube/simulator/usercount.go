package simulator

import "time"

// usercounter decides when a usercount is sent. As in CyTube, the first change is sent at once and further ones
// together at the end of the interval; a change soon after that waits for another whole interval.
type usercounter struct {
	changed, sent time.Time
	pending       bool
	timer         *timer
}

// usercountChanged broadcasts the number of connections, at most about once per interval.
func (c *Channel) usercountChanged() {
	u, interval, now := &c.usercount, c.srv.options.UsercountInterval, time.Now()
	if c.srv.closed {
		return
	}
	if interval < 0 {
		c.broadcastUsercount()
		return
	}
	due := u.changed.IsZero() || now.Sub(u.changed) >= interval || now.Sub(u.sent) >= interval
	u.changed, u.pending = now, true
	if due {
		u.timer.stop()
		u.timer = nil
		c.broadcastUsercount()
	}
	if u.timer == nil {
		u.timer = c.srv.after(interval, c.usercountDue)
	}
}

func (c *Channel) usercountDue() {
	c.usercount.timer = nil
	if c.usercount.pending {
		c.broadcastUsercount()
	}
}

func (c *Channel) broadcastUsercount() {
	c.usercount.sent, c.usercount.pending = time.Now(), false
	c.broadcast("usercount", len(c.members))
	c.record(Entry{Kind: KindUsercount, Count: len(c.members)})
}
