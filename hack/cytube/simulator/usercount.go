package simulator

import "time"

// usercountChanged broadcasts how many are connected, at most once per interval: the first change at once, the
// others together when the interval is over.
func (c *Channel) usercountChanged() {
	if c.usercountTimer != nil || c.srv.closed {
		return
	}
	wait := time.Until(c.usercountSent.Add(c.srv.options.UsercountInterval))
	if wait <= 0 || c.srv.options.UsercountInterval < 0 {
		c.broadcastUsercount()
		return
	}
	c.usercountTimer = c.srv.after(wait, func() {
		c.usercountTimer = nil
		c.broadcastUsercount()
	})
}

func (c *Channel) broadcastUsercount() {
	c.usercountSent = time.Now()
	c.broadcast("usercount", len(c.members))
	c.record(Entry{Kind: KindUsercount, Count: len(c.members)})
}
