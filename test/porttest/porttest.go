// Package freeport finds ports on loopback for servers that tests start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// For returns a port of 127.0.0.1 for a server of the test.
func For(t testing.TB) int {
	t.Helper()
	port, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// AddressFor returns a port of For as host:port.
func AddressFor(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", For(t))
}

// Reserve returns a port of 127.0.0.1 on which nobody listens, below those that Linux gives to outgoing connections, one
// of which could take it before the server listens, or while it is stopped. No other test, in another process either, gets
// the port before it is released: whoever has it also has the UDP port of the same number.
func Reserve() (port int, release func(), err error) {
	for range 100 {
		port = 20_000 + rand.N(10_000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		reserved, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			_ = reserved.Close()
			continue
		}
		_ = listener.Close()
		return port, func() { _ = reserved.Close() }, nil
	}
	return 0, nil, errors.New("finding a free port: none of 100 is free")
}
