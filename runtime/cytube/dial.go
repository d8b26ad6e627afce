package cytube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/status"
)

// Options says which channel to join, and as whom.
type Options struct {
	// Server is the site's base URL without a path.
	Server string
	// Channel is the channel's name.
	Channel string
	// ChannelPassword is for a channel that asks for one. Empty: none is known.
	ChannelPassword string
	// Username is the account's or the guest's name. Empty: an anonymous watcher.
	Username string
	// Password is the account's password. Empty: a guest.
	Password string
	// PingEvery is how often the connection is tried out. Zero: 5 s. The server's own heartbeat takes
	// minutes to notice that nobody is there.
	PingEvery time.Duration
	// PongTimeout is when a server that does not answer such a try counts as gone. Zero: 10 s.
	PongTimeout time.Duration
	// Frame is told the kind of every frame that the server sends once the connection stands: event,
	// ping, disconnect, close, malformed or ignored. It must not block. Nil: nobody is.
	Frame func(kind string)
	// MayLogin is asked right before logging in, which throws out whoever is in the channel under the same
	// name. Nil: always.
	MayLogin func() bool
}

const (
	defaultPingEvery   = 5 * time.Second
	defaultPongTimeout = 10 * time.Second
	// maxFrame is more than the server announces: a channel with a long playlist exceeds that.
	maxFrame = 16 << 20
)

// Dial connects to the channel's socket server, joins the channel and logs in. When it returns, the
// bot is in the channel under its name, and Next hands over everything from the first event on.
// An error from the server or the network is an *Error; ctx bounds the whole.
func Dial(ctx context.Context, options Options) (*Conn, error) {
	if options.PingEvery == 0 {
		options.PingEvery = defaultPingEvery
	}
	if options.PongTimeout == 0 {
		options.PongTimeout = defaultPongTimeout
	}
	if options.Frame == nil {
		options.Frame = func(string) {}
	}
	conn, err := connect(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := conn.join(ctx, options); err != nil {
		conn.Close()
		return nil, err
	}
	conn.joining = append(conn.joining, Arrival{Event: Joined{Name: conn.name}, At: time.Now()})
	return conn, nil
}

// connect opens a WebSocket and makes it a Socket.IO connection that reads by itself.
func connect(ctx context.Context, options Options) (*Conn, error) {
	client, closeIdle := newHTTPClient()
	defer closeIdle()
	address, err := socketURL(ctx, client, options.Server, options.Channel)
	if err != nil {
		return nil, err
	}
	ws, err := openWebSocket(ctx, client, address)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(maxFrame)
	silence, err := handshake(ctx, ws, address)
	if err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return start(ctx, ws, address, silence, options), nil
}

// newHTTPClient makes a client of its own for each try: a new try must not use an old try's connection.
func newHTTPClient() (*http.Client, func()) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

func openWebSocket(ctx context.Context, client *http.Client, address string) (*websocket.Conn, error) {
	//nolint:bodyclose // the library's contract: nobody ever needs to
	ws, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: client,
		HTTPHeader: http.Header{"User-Agent": {userAgent}},
	})
	if err == nil {
		return ws, nil
	}
	host := hostOf(address)
	if response == nil {
		return nil, unreachable("cannot connect to "+host, err)
	}
	if response.StatusCode == http.StatusTooManyRequests {
		return nil, &Error{Reason: status.ReasonConnectionLimited, Message: host + " limits connections: " + response.Status}
	}
	return nil, &Error{
		Reason:  status.ReasonServerUnreachable,
		Message: host + " does not open a WebSocket: it answers " + response.Status,
		Err:     err,
	}
}

// handshake waits for the open packet and connects to the main namespace. It returns how long the
// server can be silent before it counts as gone.
func handshake(ctx context.Context, ws *websocket.Conn, address string) (time.Duration, error) {
	opened, err := awaitPacket(ctx, ws, packetOpen)
	if err != nil {
		return 0, unreachable(hostOf(address)+" does not begin as a Socket.IO server", err)
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte(frameConnect)); err != nil {
		return 0, unreachable("connection to "+hostOf(address)+" lost", err)
	}
	answer, err := awaitPacket(ctx, ws, packetConnect, packetConnectError)
	if err != nil {
		return 0, unreachable(hostOf(address)+" does not finish the connection", err)
	}
	if answer.kind == packetConnectError {
		return 0, connectError(hostOf(address), connectErrorMessage(answer.payload))
	}
	return silenceOf(opened.payload), nil
}

// awaitPacket reads up to the first packet of one of the kinds. Pings are answered meanwhile.
func awaitPacket(ctx context.Context, ws *websocket.Conn, kinds ...packetKind) (packet, error) {
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return packet{}, fmt.Errorf("reading a packet: %w", err)
		}
		got, err := decodePacket(frame)
		if err != nil {
			return packet{}, err
		}
		if slices.Contains(kinds, got.kind) {
			return got, nil
		}
		switch got.kind {
		case packetPing:
			if err := ws.Write(ctx, websocket.MessageText, encodePong(got.payload)); err != nil {
				return packet{}, fmt.Errorf("answering a ping: %w", err)
			}
		case packetClose, packetDisconnect:
			return packet{}, errEnded
		default:
		}
	}
}

func connectError(host, said string) *Error {
	reason := status.ReasonServerUnreachable
	if strings.Contains(strings.ToLower(said), "rate limit") {
		reason = status.ReasonConnectionLimited
	}
	return &Error{Reason: reason, Message: host + " refuses the connection: " + serverText(said)}
}

const (
	// defaultSilence is for a server that does not say how often it pings: Engine.IO's own defaults.
	defaultSilence = 45 * time.Second
	maxSilence     = 10 * time.Minute
)

// silenceOf is the time from one ping of the server to the moment when the next is too late.
func silenceOf(open []byte) time.Duration {
	var heartbeat openPayload
	if json.Unmarshal(open, &heartbeat) != nil || heartbeat.PingInterval <= 0 || heartbeat.PingTimeout <= 0 {
		return defaultSilence
	}
	limit := maxSilence.Milliseconds()
	return time.Duration(min(heartbeat.PingInterval, limit)+min(heartbeat.PingTimeout, limit)) * time.Millisecond
}

func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}
