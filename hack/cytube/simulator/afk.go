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

// setAFK marks somebody as away or back. Being told the same again only starts the clock anew.
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

// watchIdle marks somebody as away who does nothing for the channel's time.
func (c *client) watchIdle() {
	c.afkTimer.stop()
	if timeout := c.channel.options.AFKTimeout; timeout > 0 {
		c.afkTimer = c.srv.after(timeout, func() { c.setAFK(true) })
	}
}

// everyone is below every rank.
const everyone = -100

// sendUserMeta tells whoever has the rank what is known of somebody; moderators are told more.
func (c *Channel) sendUserMeta(of *client, rank float64) {
	for _, m := range c.members {
		if m.rank() >= rank {
			m.emit("setUserMeta", userMetaFrame{Name: of.name, Meta: of.userFrame(m.isModerator()).Meta})
		}
	}
}
