package postgres

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// closeTimeout limits how long closing a connection may take: the driver says good-bye to the server and waits for it,
// and a server that hangs must not keep the process from ending in time.
const closeTimeout = time.Second

// tracker knows the network connections of a store, so that closing them can be given a time limit. The driver has none
// for a whole pool.
type tracker struct {
	mu    sync.Mutex
	conns map[*trackedConn]bool
	end   time.Time // when all connections end; zero before the store is closed
}

// track has the connections with these settings tracked.
func (t *tracker) track(settings *pgx.ConnConfig) {
	dial := settings.DialFunc
	settings.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return t.add(conn), nil
	}
}

func (t *tracker) add(conn net.Conn) *trackedConn {
	tracked := &trackedConn{Conn: conn, tracker: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		t.conns = map[*trackedConn]bool{}
	}
	t.conns[tracked] = true
	_ = conn.SetDeadline(t.end)
	return tracked
}

// endSoon ends all connections, also those that are opened later, after closeTimeout.
func (t *tracker) endSoon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = time.Now().Add(closeTimeout)
	for conn := range t.conns {
		_ = conn.Conn.SetDeadline(t.end) // it fails if the connection is closed
	}
}

// set calls one of the methods of a connection that set a deadline, with the earlier of two.
func (t *tracker) set(deadline time.Time, set func(time.Time) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.end.IsZero() && (deadline.IsZero() || deadline.After(t.end)) {
		deadline = t.end
	}
	return set(deadline)
}

// trackedConn is a network connection that a tracker knows.
type trackedConn struct {
	net.Conn

	tracker *tracker
}

// SetDeadline implements net.Conn.
func (c *trackedConn) SetDeadline(at time.Time) error { return c.tracker.set(at, c.Conn.SetDeadline) }

// SetReadDeadline implements net.Conn.
func (c *trackedConn) SetReadDeadline(at time.Time) error {
	return c.tracker.set(at, c.Conn.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *trackedConn) SetWriteDeadline(at time.Time) error {
	return c.tracker.set(at, c.Conn.SetWriteDeadline)
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.tracker.mu.Lock()
	delete(c.tracker.conns, c)
	c.tracker.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // the driver compares errors
}
