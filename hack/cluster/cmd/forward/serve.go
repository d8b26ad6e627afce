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
		return fmt.Errorf("taking up the listener handed down as file descriptor %d: %w", inheritedListener, err)
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

// forward copies both ways until both ends have said all they had, or ctx ends. A target that cannot be reached
// closes the client's connection, which the client reports better than we could.
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

// copyAndCloseWrite passes the end of one side's stream on, so that half-closed connections (kubectl exec with
// standard input) work. A broken copy closes both: the other half would wait for ever.
func copyAndCloseWrite(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
