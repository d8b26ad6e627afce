package simulator

import (
	"encoding/json"
	"log/slog"
)

// moderatorRank is the lowest rank of a moderator.
const moderatorRank = 2

// client is one visitor, over a socket or of the audience. The server's lock guards it.
type client struct {
	srv     *Server
	conn    *conn // nil: of the audience
	address string

	name           string   // empty: not logged in
	account        *Account // nil: a guest or not logged in
	globalRank     float64  // on the server: -1 nobody, 0 guest, 1 registered
	channelRank    float64  // in the channel, -1 until known
	hasChannelRank bool

	joinAsked    bool     // CyTube listens to a client's first joinChannel only
	channel      *Channel // the channel asked for
	owesPassword bool     // asked for the channel's password
	member       bool     // let into the channel
	gone         bool     // kicked or disconnected
}

func newClient(s *Server, conn *conn, address string) *client {
	return &client{srv: s, conn: conn, address: address, globalRank: -1, channelRank: -1}
}

func (c *client) rank() float64 { return max(c.globalRank, c.channelRank) }

func (c *client) isModerator() bool { return c.rank() >= moderatorRank }

// emit queues an event for the client. The audience sees nothing.
func (c *client) emit(event string, args ...any) {
	if c.conn == nil || c.gone {
		return
	}
	packet, err := encodeEvent(event, args...)
	if err != nil {
		c.srv.options.Logger.Error("frame not sent", slog.String("event", event), slog.Any("error", err))
		return
	}
	c.conn.send(packet)
}

// handle answers one event of the client's.
func (c *client) handle(event string, arg json.RawMessage) {
	switch event {
	case "joinChannel":
		c.handleJoinChannel(arg)
	case "channelPassword":
		c.handleChannelPassword(arg)
	case "login":
		c.handleLogin(arg)
	case "chatMsg":
		c.handleChatMsg(arg)
	case "pm":
		c.handlePM(arg)
	}
}

// kick tells the client why and disconnects it from the Socket.IO namespace. The WebSocket below stays open until
// the client closes it, as with the real server.
func (c *client) kick(reason string) {
	c.emit("kick", kickFrame{Reason: reason})
	if c.conn != nil {
		c.conn.send(packetDisconnect)
	}
	if c.member {
		c.channel.record(Entry{Kind: KindKick, User: c.name, Text: reason})
	}
	c.disconnect()
}

// disconnect forgets the client, once.
func (c *client) disconnect() {
	if c.gone {
		return
	}
	c.gone = true
	if c.member {
		c.channel.part(c)
	}
}
