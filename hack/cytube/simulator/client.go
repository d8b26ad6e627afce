package simulator

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	// moderatorRank is the lowest rank of a moderator.
	moderatorRank = 2
	// leaderRank is the minimum rank of the playlist's leader.
	leaderRank = 1.5
)

// client is a visitor, on a socket or of the audience. The server's lock guards it.
type client struct {
	srv       *Server
	conn      *conn // nil: of the audience
	address   string
	firstSeen time.Time

	name           string   // empty: not logged in
	account        *Account // nil: a guest or not logged in
	globalRank     float64  // on the server: -1 nobody, 0 guest, 1 registered
	channelRank    float64  // in the channel, -1 until known
	hasChannelRank bool

	joinAsked    bool     // CyTube handles only a client's first joinChannel
	channel      *Channel // the requested channel
	owesPassword bool     // must send the channel's password
	member       bool     // has joined the channel
	gone         bool     // kicked or disconnected
	counted      bool     // counts as a connection of its address

	afk, muted, shadowMuted bool
	afkTimer                *timer

	chatLimiter, queueLimiter, playlistLimiter floodLimiter
	refusal                                    string // the last one, for the audience's errors
}

func newClient(s *Server, conn *conn, address string) *client {
	return &client{
		srv: s, conn: conn, address: address, globalRank: -1, channelRank: -1, firstSeen: time.Now(),
	}
}

func (c *client) rank() float64 {
	rank := max(c.globalRank, c.channelRank)
	if c.member && c.channel.leader == c {
		return max(rank, leaderRank)
	}
	return rank
}

func (c *client) isModerator() bool { return c.rank() >= moderatorRank }

// emit queues an event for the client. The audience gets no events, but errors report refusals.
func (c *client) emit(event string, args ...any) {
	if c.gone {
		return
	}
	c.noteRefusal(event, args)
	if c.conn == nil {
		return
	}
	packet, err := encodeEvent(event, args...)
	if err != nil {
		c.srv.options.Logger.Error("frame not sent", slog.String("event", event), slog.Any("error", err))
		return
	}
	c.conn.send(packet)
}

// noteRefusal records that the server has refused an event.
func (c *client) noteRefusal(event string, args []any) {
	if len(args) == 0 {
		return
	}
	var message string
	switch frame := args[0].(type) {
	case errorFrame:
		message = frame.Msg
	case queueFailFrame:
		message = frame.Msg
	case noFloodFrame:
		message = frame.Msg
	case spamFrame:
		message = frame.Reason
	default:
		if event != "cooldown" {
			return
		}
		message = fmt.Sprintf("%v", frame)
	}
	c.refused(event + ": " + message)
}

// refused records a refusal that is not sent to the client.
func (c *client) refused(message string) {
	c.refusal = message
	if c.member {
		c.channel.record(Entry{Kind: KindRefuse, User: c.name, Text: message})
	}
}

// kick sends the client the reason and disconnects it from the Socket.IO namespace. The WebSocket stays open until the
// client closes it, as with the real server.
func (c *client) kick(reason string) {
	if c.gone {
		return
	}
	c.emit("kick", kickFrame{Reason: reason})
	if c.member {
		c.channel.record(Entry{Kind: KindKick, User: c.name, Text: reason})
	}
	c.dismiss()
}

// dismiss disconnects the client from the Socket.IO namespace.
func (c *client) dismiss() {
	if c.conn != nil && !c.gone {
		c.conn.send(packetDisconnect)
	}
	c.disconnect()
}

// disconnect removes the client. Further calls do nothing.
func (c *client) disconnect() {
	if c.gone {
		return
	}
	c.gone = true
	c.afkTimer.stop()
	c.uncount()
	if c.member {
		c.channel.part(c)
	}
}

// uncount removes the client from the connections of its address.
func (c *client) uncount() {
	if !c.counted {
		return
	}
	c.counted = false
	c.srv.perAddress[c.address]--
	if c.srv.perAddress[c.address] == 0 {
		delete(c.srv.perAddress, c.address)
	}
	c.srv.record(Entry{Kind: KindClose, Address: c.address, User: c.name})
}
