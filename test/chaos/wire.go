package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// wire is a cable between a process and a server: bytes pass until it is cut, wait while it is, and go on when it is
// mended, as TCP has it. An end that one side comes to while it is cut is seen by the other afterwards.
type wire struct {
	listener net.Listener
	target   string
	dialer   net.Dialer

	connections sync.WaitGroup
	stop        context.CancelFunc

	mu sync.Mutex
	// mended is closed while the wire is whole.
	mended chan struct{}
}

// newWire listens on a free port of loopback and passes on to target. from is the address that the target sees;
// empty: 127.0.0.1.
func newWire(ctx context.Context, target, from string) (*wire, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("laying a wire to %s: %w", target, err)
	}
	w := &wire{listener: listener, target: target, mended: make(chan struct{})}
	close(w.mended)
	if from != "" {
		w.dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.connections.Go(func() { w.accept(ctx) })
	return w, nil
}

// address is what the process connects to, host:port.
func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.mended:
		w.mended = make(chan struct{})
	default: // it is cut already
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.mended:
	default:
		close(w.mended)
	}
}

// whole waits until the wire is, and is false when ctx ended first.
func (w *wire) whole(ctx context.Context) bool {
	w.mu.Lock()
	mended := w.mended
	w.mu.Unlock()
	select {
	case <-mended:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// close ends all connections and waits for them.
func (w *wire) close() {
	_ = w.listener.Close()
	w.stop()
	w.connections.Wait()
}

func (w *wire) accept(ctx context.Context) {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				continue
			}
			return
		}
		w.connections.Go(func() { w.join(ctx, near) })
	}
}

// join passes bytes between a process and the target until either ends.
func (w *wire) join(ctx context.Context, near net.Conn) {
	defer func() { _ = near.Close() }()
	if !w.whole(ctx) {
		return
	}
	far, err := w.dialer.DialContext(ctx, "tcp", w.target)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var halves sync.WaitGroup
	halves.Go(func() { w.pass(ctx, far, near); cancel() })
	halves.Go(func() { w.pass(ctx, near, far); cancel() })
	<-ctx.Done()
	_, _ = near.Close(), far.Close()
	halves.Wait()
}

// pass copies one way. What was read before a cut waits, and so does an end.
func (w *wire) pass(ctx context.Context, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !w.whole(ctx) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
