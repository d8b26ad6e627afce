// Package porttest finds ports on loopback for servers that tests start.
package porttest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Free returns a port of 127.0.0.1 for a server of the test.
func Free(t testing.TB) int {
	t.Helper()
	port, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// FreeAddress returns 127.0.0.1 with a port of Free, as host:port.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return Address(Free(t))
}

// Address returns 127.0.0.1 with a port, as host:port.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Reserve returns a port of 127.0.0.1 on which nobody listens. It is below those that Linux gives to outgoing
// connections: one of them could take it before a server listens, or while the server is stopped. Nobody else who
// reserves a port, in another process either, gets this one before it is released: whoever has it also has the UDP port
// of the same number.
func Reserve() (port int, release func(), err error) {
	for range 100 {
		port = 20_000 + rand.N(10_000)
		reserved, err := net.ListenPacket("udp", Address(port))
		if err != nil {
			continue
		}
		listener, err := net.Listen("tcp", Address(port))
		if err != nil {
			_ = reserved.Close()
			continue
		}
		return port, func() { _ = reserved.Close() }, listener.Close()
	}
	return 0, nil, errors.New("finding a free port: 100 are in use")
}
