// Package cable is a TCP connection between a process under test and a server, which a test can cut.
package cable

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Cable passes TCP connections on and can be cut.
type Cable struct {
	listener net.Listener
	target   string
	workers  sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
}

// Lay makes a cable to a server, host:port, from a free port of loopback. It ends with the test.
func Lay(t *testing.T, target string) *Cable {
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

// Address is what the process connects to, host:port.
func (c *Cable) Address() string { return c.listener.Addr().String() }

// Cut ends every connection, and new ones at once until Mend.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for conn := range c.open {
		_ = conn.Close()
	}
	clear(c.open)
}

// Mend lets connections pass again.
func (c *Cable) Mend() {
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
