// Package cable provides a TCP proxy between a process under test and a server. A test can cut its connections.
package cable

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Cable forwards TCP connections to a server until it is cut.
type Cable struct {
	listener net.Listener
	target   string
	workers  sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
}

// New returns a cable from a free port of loopback to a server, host:port. It is closed at the end of the test.
func New(t *testing.T, target string) *Cable {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{listener: listener, target: target, open: map[net.Conn]bool{}}
	c.workers.Go(func() { c.accept(t.Context()) })
	t.Cleanup(func() {
		_ = listener.Close()
		c.Cut()
		c.workers.Wait()
	})
	return c
}

// Address returns the address to which the process connects, host:port.
func (c *Cable) Address() string { return c.listener.Addr().String() }

// Cut closes all connections, and new ones as soon as they are accepted, until Restore is called.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for conn := range c.open {
		_ = conn.Close()
	}
	clear(c.open)
}

// Restore lets new connections through again.
func (c *Cable) Restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}

func (c *Cable) accept(ctx context.Context) {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		far, err := new(net.Dialer).DialContext(ctx, "tcp", c.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		if !c.keep(near, far) {
			_, _ = near.Close(), far.Close()
			continue
		}
		c.workers.Go(func() { pass(near, far) })
		c.workers.Go(func() { pass(far, near) })
	}
}

func (c *Cable) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return false
	}
	for _, conn := range conns {
		c.open[conn] = true
	}
	return true
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}
