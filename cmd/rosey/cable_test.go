package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// cable passes TCP connections on and can be cut.
type cable struct {
	listener net.Listener
	target   string
	workers  sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
}

func layCable(t *testing.T, target string) *cable {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, target: target, open: map[net.Conn]bool{}}
	c.workers.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
		c.workers.Wait()
	})
	return c
}

func (c *cable) address() string { return c.listener.Addr().String() }

// cut ends every connection, and new ones at once until mend.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for conn := range c.open {
		_ = conn.Close()
	}
	clear(c.open)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.target)
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

func (c *cable) keep(conns ...net.Conn) bool {
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
