package simulator

import (
	"fmt"
	"math"
	"time"
)

// skipRatio is the fraction of voters that is needed to skip an item.
const skipRatio = 0.5

func (c *client) handleVoteskip() {
	channel := c.channel
	if !c.allowed("voteskip") {
		return
	}
	if channel.skipVotes == nil {
		channel.skipVotes = map[string]bool{}
	}
	if channel.skipVotes[c.address] {
		c.refused("ignored: this address voted before")
		return
	}
	channel.skipVotes[c.address] = true
	channel.record(Entry{Kind: KindVoteskip, User: c.name, Count: len(channel.skipVotes)})
	c.setAFK(false)
	channel.updateVoteskip()
}

func (c *Channel) unvoteSkip(address string) { delete(c.skipVotes, address) }

// skipVoters returns the number of users who may vote.
func (c *Channel) skipVoters() (eligible, afk, denied int) {
	for _, m := range c.members {
		switch {
		case !m.may("voteskip"):
			denied++
		case m.afk:
			afk++
		}
	}
	return len(c.members) - denied - afk, afk, denied
}

func skipNeeds(eligible int) int { return int(math.Ceil(float64(eligible) * skipRatio)) }

// updateVoteskip counts the votes, if there are any, and skips the item if there are enough.
func (c *Channel) updateVoteskip() {
	if c.skipVotes == nil || len(c.playlist.items) == 0 {
		return
	}
	eligible, afk, denied := c.skipVoters()
	votes := len(c.skipVotes)
	if votes < max(1, skipNeeds(eligible)) {
		c.sendVoteskip()
		return
	}
	f := serverLine("[voteskip]", fmt.Sprintf("Voteskip passed: %d/%d skipped; eligible voters: %d = total (%d) - "+
		"AFK (%d) - no permission (%d); ratio = %v", votes, eligible, eligible, len(c.members), afk, denied, skipRatio))
	f.Time = time.Now().UnixMilli()
	c.broadcast("chatMsg", f)
	c.resetVoteskip()
	c.playNext()
}

func (c *Channel) resetVoteskip() {
	c.skipVotes = nil
	c.sendVoteskip()
}

func (c *Channel) sendVoteskip() {
	var f voteskipFrame
	if c.skipVotes != nil {
		eligible, _, _ := c.skipVoters()
		f = voteskipFrame{Count: len(c.skipVotes), Need: skipNeeds(eligible)}
	}
	for _, m := range c.members {
		if m.may("viewvoteskip") {
			m.emit("voteskip", f)
		}
	}
}
