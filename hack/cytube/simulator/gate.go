package simulator

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// gate holds the bytes of one connection while there is a partition.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens; nil while it is open
	ended  bool          // nothing will come through any more
	held   net.Conn      // closed by the server while the gate was shut, which the client must not see yet
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

// open returns whether the gate can be forgotten.
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

// waiting returns what closes when the gate opens, or nil if it is open.
func (g *gate) waiting() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// hold takes a connection to close later, and is false if the gate is open.
func (g *gate) hold(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		return false
	}
	g.held = c
	return true
}

// end says that the server is done with the connection, and returns whether the gate can be forgotten.
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

// pass waits until bytes may go through.
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

// Read implements net.Conn. What arrives during a partition, the end of the connection too, waits for its end.
func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if passErr := c.pass(); passErr != nil {
		return 0, passErr
	}
	return n, err //nolint:wrapcheck // a net.Conn's error is the reader's to wrap; io.EOF must stay what it is
}

// Write implements net.Conn. That nobody takes the bytes any more is not seen during a partition either.
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

// Close implements net.Conn. During a partition the other side does not see it before the end.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if c.gate.hold(c.Conn) {
		_ = c.SetDeadline(time.Unix(1, 0)) // ends the reads and writes under way
		return nil
	}
	return c.Conn.Close() //nolint:wrapcheck // see Read
}

// gatedWriter puts the connection that a WebSocket takes over behind a gate.
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
