package simulator

import "time"

// Restart simulates stopping the server's process with SIGINT and starting it again: all connections are closed without
// a message, and new ones for the given time. The simulator's API stays available. Accounts, bans, ranks and the stored
// state of channels survive: the last lines, mutes, playlist, poll, emotes, message of the day and permissions. All
// users, including the audience, are disconnected; the leader, drinks, votes to skip and the limits' counters are
// reset.
func (s *Server) Restart(down time.Duration) { s.restart(down, false) }

// Crash is a Restart after a crash or SIGTERM: channels lose what they had not stored, here everything since the start.
// Bans and ranks survive.
func (s *Server) Crash(down time.Duration) { s.restart(down, true) }

func (s *Server) restart(down time.Duration, crash bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := Entry{Kind: KindRestart, Count: int(down.Milliseconds())}
	if crash {
		e.Text = "crash"
	}
	s.record(e)
	s.faults.downUntil = time.Now().Add(down)
	for session := range s.sessions {
		if session.client != nil {
			session.client.vanish()
		}
		session.conn.drop()
	}
	for _, c := range s.channels {
		c.reload()
		if crash {
			c.start()
		}
	}
	s.forgetLimits()
}

// vanish disconnects a client without announcing it, since no clients are left.
func (c *client) vanish() {
	if c.gone {
		return
	}
	c.gone = true
	c.afkTimer.stop()
	c.uncount()
	if !c.member {
		return
	}
	if c.name != "" {
		c.channel.record(Entry{Kind: KindLeave, User: c.name})
	}
	c.channel.record(Entry{Kind: KindDisconnect, User: c.name})
	c.member = false
}

// reload restores the channel's state after a restart.
func (c *Channel) reload() {
	for _, m := range c.members {
		m.vanish() // the audience: the others are already disconnected
	}
	c.members, c.leader, c.skipVotes, c.drinks = nil, nil, nil, 0
	c.usercount.timer.stop()
	c.usercount = usercounter{}
	c.stopPlayback()
	films, current := c.playlist.films()
	c.playlist.load(films, current)
	if c.poll != nil {
		c.poll.timer.stop()
		c.poll.timer = nil
	}
}
