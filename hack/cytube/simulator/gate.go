package simulator

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// gate stops the bytes of one connection during a partition.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens; nil while it is open
	ended  bool          // the connection has ended
	held   net.Conn      // closed by the server while the gate is shut, which the client must not see yet
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

// open opens the gate and reports whether it can be removed.
func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
	if g.held != nil {
		_ = g.held.Close()
	}
	return g.ended
}

// waiting returns a channel that is closed when the gate opens, or nil if it is open.
func (g *gate) waiting() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// hold keeps a connection, to be closed when the gate opens. It reports false if the gate is open.
func (g *gate) hold(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		return false
	}
	g.held = c
	return true
}

// end marks the connection as ended, and reports whether the gate can be removed.
func (g *gate) end() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	return g.opened == nil
}

// gatedConn is a connection behind a gate.
type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// pass waits until the gate is open.
func (c *gatedConn) pass() error {
	for {
		opened := c.gate.waiting()
		select {
		case <-c.closed:
			return net.ErrClosed
		default:
		}
		if opened == nil {
			return nil
		}
		select {
		case <-opened:
		case <-c.closed:
		}
	}
}

// Read implements net.Conn. During a partition, received bytes and the end of the connection wait.
func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if passErr := c.pass(); passErr != nil {
		return 0, passErr
	}
	return n, err //nolint:wrapcheck // the caller wraps a net.Conn's errors, and io.EOF must not be wrapped
}

// Write implements net.Conn. During a partition it does not report that the other side has closed the connection.
func (c *gatedConn) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		if passErr := c.pass(); passErr != nil {
			return n, passErr
		}
	}
	return n, err //nolint:wrapcheck // see Read
}

// Close implements net.Conn. During a partition the other side does not see it.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if c.gate.hold(c.Conn) {
		_ = c.SetDeadline(time.Unix(1, 0)) // ends pending reads and writes
		return nil
	}
	return c.Conn.Close() //nolint:wrapcheck // see Read
}

// gatedWriter puts a hijacked connection behind a gate.
type gatedWriter struct {
	http.ResponseWriter
	gate *gate
}

// Hijack implements http.Hijacker.
func (w *gatedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("taking the connection over: %w", err)
	}
	gated := &gatedConn{Conn: conn, gate: w.gate, closed: make(chan struct{})}
	buffers.Writer.Reset(gated)
	return gated, buffers, nil
}
