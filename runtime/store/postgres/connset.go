package postgres

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// closeTimeout limits how long closing a connection may take: the driver says good-bye to the server and waits for it,
// and a server that hangs must not keep the process from ending in time.
const closeTimeout = time.Second

// connSet is the set of open network connections of a store, so that closing them can be given a time limit. The driver
// has none for a whole pool.
type connSet struct {
	mu    sync.Mutex
	conns map[*trackedConn]bool
	end   time.Time // when all connections end; zero before the store is closed
}

// track has the connections with these settings tracked.
func (s *connSet) track(settings *pgx.ConnConfig) {
	dial := settings.DialFunc
	settings.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return s.add(conn), nil
	}
}

func (s *connSet) add(conn net.Conn) *trackedConn {
	tracked := &trackedConn{Conn: conn, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[*trackedConn]bool{}
	}
	s.conns[tracked] = true
	_ = conn.SetDeadline(s.end)
	return tracked
}

// endSoon ends all connections, also those that are opened later, after closeTimeout.
func (s *connSet) endSoon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = time.Now().Add(closeTimeout)
	for conn := range s.conns {
		_ = conn.Conn.SetDeadline(s.end) // it fails if the connection is closed
	}
}

// setDeadline calls one of the methods of a connection that set a deadline, with the earlier of two.
func (s *connSet) setDeadline(deadline time.Time, set func(time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.end.IsZero() && (deadline.IsZero() || deadline.After(s.end)) {
		deadline = s.end
	}
	return set(deadline)
}

// trackedConn is a network connection in a connSet.
type trackedConn struct {
	net.Conn

	set *connSet
}

// networkConn returns the network connection below a tracked one and TLS.
func networkConn(conn *pgx.Conn) net.Conn {
	network := conn.PgConn().Conn()
	if secure, ok := network.(*tls.Conn); ok {
		network = secure.NetConn()
	}
	if tracked, ok := network.(*trackedConn); ok {
		network = tracked.Conn
	}
	return network
}

// SetDeadline implements net.Conn.
func (c *trackedConn) SetDeadline(at time.Time) error {
	return c.set.setDeadline(at, c.Conn.SetDeadline)
}

// SetReadDeadline implements net.Conn.
func (c *trackedConn) SetReadDeadline(at time.Time) error {
	return c.set.setDeadline(at, c.Conn.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *trackedConn) SetWriteDeadline(at time.Time) error {
	return c.set.setDeadline(at, c.Conn.SetWriteDeadline)
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.conns, c)
	c.set.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // the driver compares errors
}
