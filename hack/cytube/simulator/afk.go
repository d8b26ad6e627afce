package simulator

import "strconv"

type afkFrame struct {
	Name string `json:"name"`
	AFK  bool   `json:"afk"`
}

type userMetaFrame struct {
	Name string `json:"name"`
	Meta any    `json:"meta"`
}

// setAFK marks a user as away or back. Setting the same state again only restarts the timer.
func (c *client) setAFK(afk bool) {
	if !c.member {
		return
	}
	if c.afk == afk {
		c.watchIdle()
		return
	}
	c.afk = afk
	if afk {
		c.channel.unvoteSkip(c.address)
		c.emit("clearVoteskipVote")
	} else {
		c.watchIdle()
	}
	c.channel.updateVoteskip()
	c.channel.record(Entry{Kind: KindAFK, User: c.name, Text: strconv.FormatBool(afk)})
	c.channel.sendUserMeta(c, everyone)
	c.channel.broadcast("setAFK", afkFrame{Name: c.name, AFK: afk})
}

// watchIdle marks a user as away who is inactive for the channel's time-out.
func (c *client) watchIdle() {
	c.afkTimer.stop()
	if timeout := c.channel.options.AFKTimeout; timeout > 0 {
		c.afkTimer = c.srv.after(timeout, func() { c.setAFK(true) })
	}
}

// everyone is lower than every rank.
const everyone = -100

// sendUserMeta sends a user's metadata to users with at least the rank; moderators get more of it.
func (c *Channel) sendUserMeta(of *client, rank float64) {
	for _, m := range c.members {
		if m.rank() >= rank {
			m.emit("setUserMeta", userMetaFrame{Name: of.name, Meta: of.userFrame(m.isModerator()).Meta})
		}
	}
}
