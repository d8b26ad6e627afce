package simulator

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxPayload is the maximum size of a client's packet, in bytes.
	maxPayload = 1 << 20
	// outboxLength is the maximum number of queued packets; a client that reads more slowly is disconnected.
	outboxLength = 4096
)

// conn is an Engine.IO connection over a WebSocket.
type conn struct {
	ws     *websocket.Conn
	outbox chan outgoing
	pong   chan struct{}
	drop   context.CancelFunc // ends the connection
	gate   *gate
}

// outgoing is a queued packet, or the request to close the connection.
type outgoing struct {
	packet string
	binary bool
	finish bool
}

// send queues a packet. It never blocks, since the caller holds the server's lock: a client that does not read is
// dropped.
func (c *conn) send(packet string) { c.queue(outgoing{packet: packet}) }

// finish closes the connection after the queued packets are sent.
func (c *conn) finish() { c.queue(outgoing{finish: true}) }

func (c *conn) queue(o outgoing) {
	select {
	case c.outbox <- o:
	default:
		c.drop()
	}
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if problem := checkTransport(r); problem != nil {
		writeJSON(w, http.StatusBadRequest, problem)
		return
	}
	if !s.begin() {
		writeError(w, http.StatusServiceUnavailable, errors.New("the server is closing"))
		return
	}
	defer s.running.Done()
	address := clientAddress(r)
	if !s.reachable(w, r, address) {
		return
	}
	gate := s.newGate(address)
	defer s.forgetGate(gate)
	gated := &gatedWriter{ResponseWriter: w, gate: gate}
	ws, err := websocket.Accept(gated, r, &websocket.AcceptOptions{OriginPatterns: []string{"*"}})
	if err != nil {
		s.options.Logger.InfoContext(r.Context(), "WebSocket refused",
			slog.String("address", r.RemoteAddr), slog.Any("error", err))
		return
	}
	ctx, drop := context.WithCancel(r.Context())
	defer drop()
	//nolint:contextcheck // the connection ends with its request or with the server
	defer context.AfterFunc(s.stopped, drop)()
	c := &conn{
		ws: ws, outbox: make(chan outgoing, outboxLength), pong: make(chan struct{}, 1), drop: drop, gate: gate,
	}
	err = s.serveConn(ctx, c, address)
	s.options.Logger.InfoContext(ctx, "socket closed", slog.String("address", r.RemoteAddr), slog.Any("reason", err))
}

// checkTransport returns Engine.IO's error object for a request that is not a WebSocket with protocol 4. The real
// server also supports HTTP long-polling and protocol 3.
func checkTransport(r *http.Request) any {
	type problem struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	query := r.URL.Query()
	if query.Get("transport") != "websocket" {
		return problem{Code: 0, Message: "Transport unknown"}
	}
	if query.Get("EIO") != "4" {
		return problem{Code: 5, Message: "Unsupported protocol version"}
	}
	return nil
}

// serveConn runs a connection until it ends, and returns the reason.
func (s *Server) serveConn(ctx context.Context, c *conn, address string) error {
	open, err := marshal(openFrame{
		SID: newSID(), Upgrades: []string{}, PingInterval: s.options.PingInterval.Milliseconds(),
		PingTimeout: s.options.PingTimeout.Milliseconds(), MaxPayload: maxPayload,
	})
	if err != nil {
		return err
	}
	c.send(packetOpen + open)
	session := &session{srv: s, conn: c, address: address}
	session.begin()
	defer session.end()
	var writer sync.WaitGroup
	var writeErr error
	writer.Go(func() {
		defer c.drop()
		writeErr = s.write(ctx, session)
	})
	readErr := s.readPackets(ctx, session)
	c.drop()
	writer.Wait()
	if err := c.ws.CloseNow(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.options.Logger.DebugContext(ctx, "closing WebSocket", slog.Any("error", err))
	}
	if writeErr != nil && !errors.Is(writeErr, context.Canceled) {
		return writeErr
	}
	return readErr
}

// write sends queued packets and the heartbeat: a ping every interval after the last pong.
func (s *Server) write(ctx context.Context, to *session) error {
	c, interval, timeout := to.conn, s.options.PingInterval, s.options.PingTimeout
	timer := time.NewTimer(interval)
	defer timer.Stop()
	pinged := false
	for {
		next := outgoing{packet: packetPing}
		select {
		case <-ctx.Done():
			return fmt.Errorf("writing packets: %w", ctx.Err())
		case <-c.pong:
			pinged = false
			timer.Reset(interval)
			continue
		case next = <-c.outbox:
		case <-timer.C:
			if pinged {
				return fmt.Errorf("no pong within %s", timeout)
			}
			pinged = true
			timer.Reset(timeout)
		}
		if err := s.slowDown(ctx, to); err != nil {
			return err
		}
		// A client that reads nothing for so long cannot have replied to a ping either.
		limit := timeout
		if next.packet != packetPing {
			limit += interval
		}
		writeCtx, cancel := context.WithTimeout(ctx, limit)
		err := c.write(writeCtx, next)
		cancel()
		if err != nil {
			return err
		}
	}
}

func (c *conn) write(ctx context.Context, o outgoing) error {
	if o.finish {
		if err := c.ws.Close(websocket.StatusNoStatusRcvd, ""); err != nil {
			return fmt.Errorf("closing the connection: %w", err)
		}
		return errFinished
	}
	kind := websocket.MessageText
	if o.binary {
		kind = websocket.MessageBinary
	}
	if err := c.ws.Write(ctx, kind, []byte(o.packet)); err != nil {
		return fmt.Errorf("writing packet: %w", err)
	}
	return nil
}

// errFinished reports that the server has closed the connection on purpose.
var errFinished = errors.New("closed by the server")

// readPackets handles the client's packets in order until the connection ends.
func (s *Server) readPackets(ctx context.Context, from *session) error {
	c := from.conn
	c.ws.SetReadLimit(maxPayload)
	for {
		kind, packet, err := c.ws.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading packet: %w", err)
		}
		if err := s.slowDown(ctx, from); err != nil {
			return err
		}
		if kind != websocket.MessageText {
			return errors.New("reading packet: expected text, got binary")
		}
		if string(packet) == packetPong {
			select {
			case c.pong <- struct{}{}:
			default: // one is already pending
			}
			continue
		}
		if err := from.handle(string(packet)); err != nil {
			return err
		}
	}
}

// newSID returns a session ID with the real server's length and alphabet.
func newSID() string {
	raw := make([]byte, 15)
	_, _ = rand.Read(raw) // documented never to fail
	return base64.RawURLEncoding.EncodeToString(raw)
}
