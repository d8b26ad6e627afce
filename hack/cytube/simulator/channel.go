package simulator

import (
	"strings"
	"time"
)

// replayLength is how many chat lines CyTube keeps and shows to whoever joins.
const replayLength = 15

// Channel is one channel of a Server. Its exported methods act for the audience: people who take part without a
// socket of their own.
type Channel struct {
	srv     *Server
	name    string // lower case
	options ChannelOptions

	// The server's lock guards what follows.
	members        []*client // everyone connected, in the order they came
	replay         []chatFrame
	log            *eventLog
	usercountSent  time.Time
	usercountTimer *time.Timer
	script         ScriptStatus
}

func newChannel(s *Server, options ChannelOptions) *Channel {
	return &Channel{
		srv: s, name: strings.ToLower(options.Name), options: options, log: newEventLog(s.options.LogLimit),
	}
}

// record adds an entry that happens now.
func (c *Channel) record(e Entry) Entry {
	if e.Time == 0 {
		e.Time = time.Now().UnixMilli()
	}
	return c.log.append(e)
}

func (c *Channel) broadcast(event string, args ...any) {
	for _, m := range c.members {
		m.emit(event, args...)
	}
}

// named returns the member who is in the user list under that name, in any case.
func (c *Channel) named(name string) *client {
	for _, m := range c.members {
		if m.name != "" && strings.EqualFold(m.name, name) {
			return m
		}
	}
	return nil
}

// accept lets a client in. Somebody who logged in before is announced to the others, and not to themselves.
func (c *Channel) accept(m *client) {
	c.record(Entry{Kind: KindConnect, User: m.name})
	if m.name != "" {
		c.announce(m)
	}
	c.members = append(c.members, m)
	m.member, m.owesPassword = true, false
	c.sendState(m)
	c.usercountChanged()
	if m.account != nil {
		m.emit("listPlaylists", []string{})
	}
}

// announce enters a client into the user list. Whoever had the name is kicked first, so that a name is never in the
// list twice.
func (c *Channel) announce(m *client) {
	for _, other := range append([]*client(nil), c.members...) {
		if other != m && strings.EqualFold(other.name, m.name) {
			other.kick("Duplicate login")
		}
	}
	for _, to := range c.members {
		to.emit("addUser", m.userFrame(to.isModerator()))
	}
	c.record(Entry{Kind: KindJoin, User: m.name})
	c.tellModerators(m.name + " joined (aliases: " + m.name + ")")
}

// part removes a client that left or lost its connection.
func (c *Channel) part(m *client) {
	for i, other := range c.members {
		if other == m {
			c.members = append(c.members[:i:i], c.members[i+1:]...)
			break
		}
	}
	m.member = false
	if m.name != "" {
		c.broadcast("userLeave", nameFrame{Name: m.name})
		c.record(Entry{Kind: KindLeave, User: m.name})
	}
	c.record(Entry{Kind: KindDisconnect, User: m.name})
	c.usercountChanged()
}

// tellModerators whispers as the pseudo-user [server]; such lines are not kept for replay.
func (c *Channel) tellModerators(text string) {
	f := chatFrame{
		Username: "[server]",
		Msg:      text,
		Meta:     chatMeta{AddClass: "server-whisper", AddClassToNameAndTimestamp: true},
		Time:     time.Now().UnixMilli(),
	}
	for _, m := range c.members {
		if m.isModerator() {
			m.emit("chatMsg", f)
		}
	}
}
