package simulator

import "time"

// Restart is what happens when the server's process is told to end (by SIGINT) and started again: every connection
// closes without a word, and for the time that it is down new ones do. The simulator's own API stays. Accounts, bans,
// ranks and what a channel stores are kept: its last lines, mutes, playlist, poll, emotes, message of the day and
// permissions. Who was there, the audience too, is gone, with the leader, the drinks, the votes to skip and what the
// limits had counted.
func (s *Server) Restart(down time.Duration) { s.restart(down, false) }

// Crash is a Restart of a process that was not asked (SIGTERM does it too): what channels had not stored yet is lost,
// here everything since the start. Bans and ranks are kept.
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

// vanish is a disconnect that nobody is told of, since nobody is left.
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

// reload is what the channel is after the server loaded it again.
func (c *Channel) reload() {
	for _, m := range c.members {
		m.vanish() // the audience: the others are gone already
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
