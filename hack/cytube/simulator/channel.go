package simulator

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// replayLength is the number of chat lines that CyTube keeps and sends to a client that joins.
const replayLength = 15

// Channel is a channel of a Server. Its exported methods act for the audience: people who take part without a socket.
type Channel struct {
	srv     *Server
	name    string // lower case
	options ChannelOptions

	// The server's lock guards the following fields.
	members   []*client // all connected clients, in the order in which they joined
	replay    []chatFrame
	log       *eventLog
	usercount usercounter
	script    ScriptStatus

	permissions  map[string]float64
	openPlaylist bool
	playlist     playlist
	leader       *client // controls the time of the playlist; nil: the server does
	emotes       []Emote
	motd         string
	poll         *poll           // nil: none
	skipVotes    map[string]bool // by address; nil: no votes yet
	drinks       int
	muted        map[string]bool    // by lower-case name; true: shadow-muted
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

// start sets the initial state of a channel.
func (c *Channel) start() {
	c.permissions, c.openPlaylist = maps.Clone(defaultPermissions), false
	maps.Copy(c.permissions, c.options.Permissions)
	c.motd, c.emotes = c.options.MOTD, slices.Clone(c.options.Emotes)
	c.replay, c.muted, c.poll = nil, map[string]bool{}, nil
	c.playlist = playlist{}
	c.playlist.load(c.options.Playlist, 0)
}

// record adds an entry with the current time.
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

// named returns the member with a name in the user list, which is not case-sensitive, or nil.
func (c *Channel) named(name string) *client {
	for _, m := range c.members {
		if m.name != "" && strings.EqualFold(m.name, name) {
			return m
		}
	}
	return nil
}

// accept lets a client join. A client that has already logged in is announced to the others, but not to itself.
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
	if c.options.Unregistered {
		m.emit("channelNotRegistered")
	}
	if m.account != nil {
		m.emit("listPlaylists", []string{})
	}
}

// resume continues playback when the first viewer joins.
func (c *Channel) resume() {
	p := &c.playlist
	if p.current != nil && p.current.media.Seconds > 0 && p.position == 0 {
		p.position, p.paused = -leadIn, true
	}
	c.lead()
}

// announce adds a client to the user list. It first kicks a client with the same name, so that a name is never in the
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

// part removes a client that has left or lost its connection.
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

// serverLine sends a line without a user.
func serverLine(from, text string) chatFrame {
	return chatFrame{
		Username: from, Msg: text, Meta: chatMeta{AddClass: "server-whisper", AddClassToNameAndTimestamp: true},
		Time: time.Now().UnixMilli(),
	}
}

// whisper sends a line of the pseudo-user [server] to users with at least the rank; it is not in the chat history.
func (c *Channel) whisper(rank float64, text string) {
	f := serverLine("[server]", text)
	for _, m := range c.members {
		if m.rank() >= rank {
			m.emit("chatMsg", f)
		}
	}
}
