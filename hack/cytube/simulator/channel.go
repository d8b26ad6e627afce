package simulator

import (
	"maps"
	"slices"
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
	members   []*client // everyone connected, in the order they came
	replay    []chatFrame
	log       *eventLog
	usercount usercounter
	script    ScriptStatus

	permissions  map[string]float64
	openPlaylist bool
	playlist     playlist
	leader       *client // keeps the time of the playlist; nil: the server does
	emotes       []Emote
	motd         string
	poll         *poll           // nil: none
	skipVotes    map[string]bool // by address; nil: nobody voted yet
	drinks       int
	muted        map[string]bool    // by lower-case name; true: without knowing it
	bans         map[string]string  // reasons by lower-case name
	ranks        map[string]float64 // changed in the channel, by lower-case name
}

func newChannel(s *Server, options ChannelOptions) *Channel {
	c := &Channel{
		srv: s, name: strings.ToLower(options.Name), options: options.withDefaults(),
		log:  newEventLog(s.options.LogLimit),
		bans: map[string]string{}, ranks: map[string]float64{},
	}
	c.start()
	return c
}

// start is the state of a channel in which nothing happened yet.
func (c *Channel) start() {
	c.permissions, c.openPlaylist = maps.Clone(defaultPermissions), false
	maps.Copy(c.permissions, c.options.Permissions)
	c.motd, c.emotes = c.options.MOTD, slices.Clone(c.options.Emotes)
	c.replay, c.muted, c.poll = nil, map[string]bool{}, nil
	c.playlist = playlist{}
	c.playlist.load(c.options.Playlist, 0)
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
	m.member, m.owesPassword = true, false
	m.watchIdle()
	if m.name != "" {
		c.announce(m)
	}
	c.members = append(c.members, m)
	if len(c.members) == 1 {
		c.resume()
	}
	c.sendState(m)
	c.usercountChanged()
	if m.account != nil {
		m.emit("listPlaylists", []string{})
	}
}

// resume goes on with what is shown when the first viewer comes.
func (c *Channel) resume() {
	p := &c.playlist
	if p.current != nil && p.current.media.Seconds > 0 && p.position == 0 {
		p.position, p.paused = -leadIn, true
	}
	c.lead()
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
	c.whisper(moderatorRank, m.name+" joined (aliases: "+m.name+")")
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
	if c.leader == m {
		c.leader = nil
		c.resumeLead()
	}
	if c.skipVotes != nil {
		c.unvoteSkip(m.address)
		c.updateVoteskip()
	}
	c.unvotePoll(m.address)
	c.usercountChanged()
}

// serverLine is a line that nobody said.
func serverLine(from, text string) chatFrame {
	return chatFrame{
		Username: from, Msg: text, Meta: chatMeta{AddClass: "server-whisper", AddClassToNameAndTimestamp: true},
		Time: time.Now().UnixMilli(),
	}
}

// whisper tells whoever has the rank as the pseudo-user [server]; such lines are not kept for replay.
func (c *Channel) whisper(rank float64, text string) {
	f := serverLine("[server]", text)
	for _, m := range c.members {
		if m.rank() >= rank {
			m.emit("chatMsg", f)
		}
	}
}
