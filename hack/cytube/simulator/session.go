package simulator

import (
	"errors"
	"net"
	"strings"
)

// session is the Socket.IO side of a connection. A client that was disconnected from the namespace may connect to it
// again on the same connection.
type session struct {
	srv     *Server
	conn    *conn
	address string
	client  *client
}

// handle answers one packet. An error ends the connection, as a packet that cannot be parsed does.
func (s *session) handle(packet string) error {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	connected := s.client != nil && !s.client.gone
	switch {
	case strings.HasPrefix(packet, packetConnect+"/"):
		namespace, _, _ := strings.Cut(strings.TrimPrefix(packet, packetConnect), ",")
		s.conn.send(packetConnectError + namespace + `,{"message":"Invalid namespace"}`)
	case strings.HasPrefix(packet, packetConnect):
		if connected {
			return errors.New("handling packet: the namespace is connected already")
		}
		return s.connect()
	case packet == packetDisconnect && connected:
		s.client.disconnect()
	case strings.HasPrefix(packet, packetEvent):
		event, arg, err := decodeEvent(packet)
		if err != nil {
			return err
		}
		if connected {
			s.client.handle(event, arg)
		}
	}
	return nil
}

func (s *session) connect() error {
	reply, err := marshal(sidFrame{SID: newSID()})
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		host = s.address
	}
	s.client = newClient(s.srv, s.conn, host)
	s.conn.send(packetConnect + reply)
	s.client.emit("rank", s.client.rank())
	return nil
}

func (s *session) end() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if s.client != nil {
		s.client.disconnect()
	}
}
