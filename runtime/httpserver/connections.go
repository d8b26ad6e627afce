package httpserver

import (
	"net"
	"net/http"
	"sync"
)

// maxConnections is the number of connections that are open at a time. Each takes some 20 KB, and all of them together
// must stay far below the memory limit of a bot.
const maxConnections = 256

// connections bounds the number of connections of a server. A limit alone would let idle connections keep the kubelet's
// probe out, and the kubelet would restart the process. So a new connection is always accepted, and above the limit one
// that waits longest is closed: a probe's is the youngest, and is served within milliseconds.
type connections struct {
	limit int

	mu   sync.Mutex
	next int64 // numbers connections in the order of their last change of state
	open map[net.Conn]connection
}

type connection struct {
	state  http.ConnState
	number int64
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: map[net.Conn]connection{}}
}

// changed is the ConnState of an http.Server.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if victim := c.record(conn, state); victim != nil {
		_ = victim.Close()
	}
}

// record notes the state of a connection and returns the one to close, if there are too many.
func (c *connections) record(conn net.Conn, state http.ConnState) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.open, conn)
		return nil
	}
	c.next++
	c.open[conn] = connection{state: state, number: c.next}
	if len(c.open) <= c.limit {
		return nil
	}
	for candidate, its := range c.open {
		if candidate != conn && (victim == nil || its.goesBefore(c.open[victim])) {
			victim = candidate
		}
	}
	delete(c.open, victim)
	return victim
}

// goesBefore reports whether a connection is closed rather than another: one without a request before one with a
// request, and then the one that has been in its state for longer.
func (c connection) goesBefore(other connection) bool {
	if active := c.state == http.StateActive; active != (other.state == http.StateActive) {
		return !active
	}
	return c.number < other.number
}
