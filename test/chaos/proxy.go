package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// proxy is a TCP proxy between a process and a server. While it is cut, connections stay open but bytes wait, as if a
// cable were unplugged; a connection that one side closes meanwhile is closed for the other side afterwards.
type proxy struct {
	listener net.Listener
	target   string
	dialer   net.Dialer

	connections sync.WaitGroup
	stop        context.CancelFunc

	mu sync.Mutex
	// open is closed while the proxy is not cut.
	open chan struct{}
}

// newProxy listens on a free port of loopback and forwards to target. from is the address that the target sees;
// empty: 127.0.0.1.
func newProxy(ctx context.Context, target, from string) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy to %s: %w", target, err)
	}
	p := &proxy{listener: listener, target: target, open: make(chan struct{})}
	close(p.open)
	if from != "" {
		p.dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.connections.Go(func() { p.accept(ctx) })
	return p, nil
}

// address returns the address to which the process connects, host:port.
func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default: // already cut
	}
}

func (p *proxy) repair() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// waitOpen waits until the proxy is not cut. It reports false if ctx ended first.
func (p *proxy) waitOpen(ctx context.Context) bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// close closes all connections and waits for their goroutines.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.stop()
	p.connections.Wait()
}

func (p *proxy) accept(ctx context.Context) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				continue
			}
			return
		}
		p.connections.Go(func() { p.join(ctx, near) })
	}
}

// join copies bytes between a process and the target until either closes its connection.
func (p *proxy) join(ctx context.Context, near net.Conn) {
	defer func() { _ = near.Close() }()
	if !p.waitOpen(ctx) {
		return
	}
	far, err := p.dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var halves sync.WaitGroup
	halves.Go(func() { p.pass(ctx, far, near); cancel() })
	halves.Go(func() { p.pass(ctx, near, far); cancel() })
	<-ctx.Done()
	_, _ = near.Close(), far.Close()
	halves.Wait()
}

// pass copies in one direction. Bytes and the end of the stream wait while the proxy is cut.
func (p *proxy) pass(ctx context.Context, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !p.waitOpen(ctx) {
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
