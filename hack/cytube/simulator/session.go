package simulator

import (
	"errors"
	"strings"
	"time"
)

// session is the Socket.IO layer of a connection. A client that was disconnected from the namespace may connect to it
// again on the same connection.
type session struct {
	srv     *Server
	conn    *conn
	address string
	client  *client
	lonely  *timer // closes a connection that does not connect to the namespace
}

// connectTimeout is Socket.IO's time-out for connecting to the namespace.
const connectTimeout = 45 * time.Second

// handle handles a packet. An error, such as an invalid packet, ends the connection.
func (s *session) handle(packet string) error {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	connected := s.client != nil && !s.client.gone
	isEvent := strings.HasPrefix(packet, packetEvent)
	switch {
	case strings.HasPrefix(packet, packetConnect+"/"):
		namespace, _, _ := strings.Cut(strings.TrimPrefix(packet, packetConnect), ",")
		s.conn.send(packetConnectError + namespace + `,{"message":"Invalid namespace"}`)
	case strings.HasPrefix(packet, packetConnect):
		if connected {
			return errors.New("handling packet: the namespace is connected already")
		}
		return s.connect()
	case (packet == packetDisconnect || isEvent) && !connected:
		return errors.New("handling packet: the namespace is not connected")
	case packet == packetDisconnect:
		s.client.disconnect()
	case isEvent:
		event, arg, err := decodeEvent(packet)
		if err != nil {
			return err
		}
		s.client.handle(event, arg)
	}
	return nil
}

// connect connects the client to the namespace, unless its address exceeds the limit on connections.
func (s *session) connect() error {
	if !s.srv.mayConnect(s.address) {
		const words = "Rate limit exceeded"
		s.srv.record(Entry{Kind: KindLimit, Address: s.address, Text: words})
		s.conn.send(packetConnectError + `{"message":"` + words + `"}`)
		return nil
	}
	reply, err := marshal(sidFrame{SID: newSID()})
	if err != nil {
		return err
	}
	s.lonely.stop()
	s.conn.send(packetConnect + reply)
	s.client = newClient(s.srv, s.conn, s.address)
	if s.srv.tooMany(s.address) {
		const words = "Too many connections from your IP address"
		s.srv.record(Entry{Kind: KindLimit, Address: s.address, Text: words})
		s.client.kick(words)
		s.conn.finish()
		return nil
	}
	s.srv.perAddress[s.address]++
	s.client.counted = true
	s.srv.record(Entry{Kind: KindOpen, Address: s.address})
	s.client.emit("rank", s.client.rank())
	return nil
}

// begin starts the time-out for connecting to the namespace.
func (s *session) begin() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.srv.sessions[s] = struct{}{}
	s.lonely = s.srv.after(connectTimeout, s.conn.finish)
}

func (s *session) end() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	delete(s.srv.sessions, s)
	s.lonely.stop()
	if s.client != nil {
		s.client.disconnect()
	}
}
