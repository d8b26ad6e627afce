package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// serve forwards every connection of the inherited listener to target until ctx ends, then waits for the open ones.
func serve(ctx context.Context, target string) error {
	listener, err := net.FileListener(os.NewFile(inheritedListener, "listener"))
	if err != nil {
		return fmt.Errorf("opening the listener inherited as file descriptor %d: %w", inheritedListener, err)
	}
	stopAccepting := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stopAccepting()

	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		connections.Go(func() { forward(ctx, client, target) })
	}
}

// forward copies in both directions until both sides have closed, or ctx ends. If the target cannot be reached, it
// closes the client's connection, and the client reports the error.
func forward(ctx context.Context, client net.Conn, target string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	hangUp := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer hangUp()

	var halves sync.WaitGroup
	halves.Go(func() { copyAndCloseWrite(server, client) })
	halves.Go(func() { copyAndCloseWrite(client, server) })
	halves.Wait()
}

// copyAndCloseWrite forwards the end of a stream, so that half-closed connections (kubectl exec with standard input)
// work. A failed copy closes both connections: the other direction would wait for ever.
func copyAndCloseWrite(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
