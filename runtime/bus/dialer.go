package bus

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// dialer can be interrupted, also while it looks up a name. With the default dialer of nats.go, Close waits for both.
type dialer struct {
	ctx context.Context //nolint:containedctx // nats.CustomDialer passes none
	// before is called before each attempt. Its error ends the attempt.
	before func() error
	// onRefusal is called with what the server says instead of taking part in the handshake, and at the beginning of each
	// attempt with "".
	onRefusal func(text string)
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.onRefusal("")
	if err := d.before(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", address, err)
	}
	return &handshakeConn{Conn: connection, onRefusal: d.onRefusal}, nil
}

// handshakeConn finds the error of a server that is at its limit of connections, and closes the connection before the
// client has sent anything. nats.go only returns that it could not write, or that there is no TLS, and reads no more.
type handshakeConn struct {
	net.Conn

	onRefusal       func(text string)
	wrote, answered atomic.Bool
}

// refusalPrefix is what the line with the server's error begins with.
var refusalPrefix = []byte("-ERR ")

// maxRefusal bounds what is read of an error.
const maxRefusal = 256

// Read implements net.Conn.
func (c *handshakeConn) Read(data []byte) (int, error) {
	count, err := c.Conn.Read(data)
	if !c.answered.Load() {
		c.find(data[:count])
		c.answered.Store(c.wrote.Load())
	}
	return count, err //nolint:wrapcheck // a net.Conn of another kind is invisible
}

// Write implements net.Conn.
func (c *handshakeConn) Write(data []byte) (int, error) {
	c.wrote.Store(true)
	count, err := c.Conn.Write(data)
	if err != nil && !c.answered.Load() {
		said := make([]byte, maxRefusal)
		_ = c.SetReadDeadline(time.Now().Add(time.Second)) // what the server has sent is there already
		read, _ := c.Conn.Read(said)
		c.find(said[:read])
	}
	return count, err //nolint:wrapcheck // a net.Conn of another kind is invisible
}

// find reports an error that is in what the server has sent.
func (c *handshakeConn) find(said []byte) {
	if _, rest, found := bytes.Cut(said, refusalPrefix); found {
		line, _, _ := bytes.Cut(rest, []byte("\r\n"))
		c.onRefusal(strings.ToLower(status.OneLine(strings.Trim(string(line), "' "), maxRefusal)))
	}
}
