package simulator_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// bubble serves a simulator without a network, so that a test can use the fake clock of a synctest bubble: a minute of
// a capture passes instantly, with exact times. All clients have the same address unless they choose another.
type bubble struct {
	t       *testing.T
	sim     *simulator.Server
	dial    chan net.Conn
	started time.Time
	visitor simulator.Visitor // the last one who has not logged in
}

func newBubble(t *testing.T, options simulator.Options) *bubble {
	t.Helper()
	b := &bubble{t: t, sim: newServer(t, options), dial: make(chan net.Conn), started: time.Now()}
	web := &http.Server{Handler: b.sim.Handler(), ReadHeaderTimeout: time.Minute}
	closed := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(&pipeListener{dial: b.dial, closed: closed})
	}()
	t.Cleanup(func() {
		b.sim.Close()
		_ = web.Close()
		<-served
	})
	return b
}

// open connects from an address; empty is the common one.
func (b *bubble) open(address string) *socket {
	b.t.Helper()
	s, err := b.tryOpen(address, waitLimit)
	if err != nil {
		b.t.Fatalf("connecting: %v", err)
	}
	return s
}

func (b *bubble) tryOpen(address string, wait time.Duration) (*socket, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case b.dial <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	header := http.Header{}
	if address != "" {
		header.Set("X-Forwarded-For", address)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), wait)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, "ws://simulator/socket.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	ws.SetReadLimit(64 << 20)
	b.t.Cleanup(func() {
		_ = ws.CloseNow()
		transport.CloseIdleConnections()
	})
	return &socket{t: b.t, ws: ws}, nil
}

// connect opens a socket and connects to the namespace.
func (b *bubble) connect(address string) *socket {
	b.t.Helper()
	s := b.open(address)
	s.send("40")
	s.until("rank")
	return s
}

// enter connects, joins the channel and logs in, unless the name is empty.
func (b *bubble) enter(name, password string) *socket {
	b.t.Helper()
	s := b.connect("")
	s.send(`42["joinChannel",{"name":"movienight"}]`)
	s.until("userlist")
	if name == "" {
		return s
	}
	s.send(`42["login",{"name":"` + name + `","pw":"` + password + `"}]`)
	if got, _ := s.until("login").(map[string]any); got["success"] != true {
		b.t.Fatalf("login of %s: %v", name, got)
	}
	synctest.Wait() // until the others have been notified
	return s
}

// disconnect closes a connection and waits until the server has noticed it.
func (b *bubble) disconnect(s *socket) {
	_ = s.ws.CloseNow()
	synctest.Wait()
}

// readOn reads and keeps all packets: without a network, an unread packet blocks the server.
func (s *socket) readOn() *arrivals {
	a := &arrivals{}
	go func() {
		for {
			_, packet, err := s.ws.Read(s.t.Context())
			a.mu.Lock()
			a.over = err != nil
			if err == nil {
				a.packets = append(a.packets, string(packet))
			}
			a.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return a
}

// arrivals are the packets received on a connection.
type arrivals struct {
	mu      sync.Mutex
	packets []string
	over    bool
}

// take returns the packets received since the last call.
func (a *arrivals) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	packets := a.packets
	a.packets = nil
	return packets
}

func (a *arrivals) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over
}

// at waits until ms milliseconds after the start.
func (b *bubble) at(ms int) {
	time.Sleep(time.Until(b.started.Add(time.Duration(ms) * time.Millisecond)))
}

// pipeListener accepts in-memory connections. Their remote address is on the loopback interface, so that the server
// trusts X-Forwarded-For.
type pipeListener struct {
	dial   chan net.Conn
	closed chan struct{}
}

type loopbackConn struct{ net.Conn }

func (loopbackConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dial:
		return loopbackConn{c}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
