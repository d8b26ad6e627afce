package simulator

// handleAssignLeader makes a user the leader, who controls the playback time instead of the server. An empty name
// removes the leader.
func (c *client) handleAssignLeader(request nameFrame) {
	if !c.may("leaderctl") {
		c.kick("Attempted assignLeader without sufficient permission")
		return
	}
	channel := c.channel
	if old := channel.leader; old != nil {
		before := old.rank()
		channel.leader = nil
		if old.rank() != before {
			old.emit("rank", old.rank())
		}
		channel.broadcast("setUserRank", rankFrame{Name: old.name, Rank: old.rank()})
	}
	if request.Name == "" {
		channel.resumeLead()
		return
	}
	leader := channel.named(request.Name)
	if leader == nil || leader.name != request.Name { // case-sensitive, as in CyTube
		c.emit("errorMsg", errorFrame{Msg: "Unable to assign leader: could not find user " + request.Name})
		return
	}
	before := leader.rank()
	channel.leader = leader
	channel.stopPlayback()
	if leader.rank() != before {
		leader.emit("rank", leader.rank())
	}
	channel.record(Entry{Kind: KindLeader, User: leader.name})
	channel.broadcast("setLeader", leader.name)
	if leader.rank() == leaderRank {
		channel.broadcast("setUserRank", rankFrame{Name: leader.name, Rank: leaderRank})
	}
}

// resumeLead lets the server control the playback time again.
func (c *Channel) resumeLead() {
	c.record(Entry{Kind: KindLeader})
	c.broadcast("setLeader", "")
	if c.playlist.current == nil {
		return
	}
	c.playlist.paused = false
	c.broadcast("mediaUpdate", c.timeFrame())
	c.lead()
}
