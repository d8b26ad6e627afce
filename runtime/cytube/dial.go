package cytube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/status"
)

// Options are the channel to join and the user to log in as.
type Options struct {
	// Server is the site's base URL without a path.
	Server string
	// Channel is the channel's name.
	Channel string
	// ChannelPassword is the password of the channel. Empty: none.
	ChannelPassword string
	// Username is the name of the account or guest. Empty: an anonymous watcher.
	Username string
	// Password is the account's password. Empty: a guest.
	Password string
	// Frame is called with the kind of every frame that the server sends after the handshake: event, ping, disconnect,
	// close, malformed or ignored. It must not block. Nil: not called.
	Frame func(kind string)
	// DialContext opens network connections, like that of http.Transport. Nil: that of a net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// MayLogin reports whether the bot may still log in. It is called right before the login, since that makes the
	// server kick everybody who is in the channel with the same account. Nil: always.
	MayLogin func() bool
	// Found is shared by the attempts to join one channel, one after the other. Nil: every attempt requests the socket
	// server from the site.
	Found *FoundServer
}

// Dial connects to the channel's socket server, joins the channel and logs in. When it returns, the bot is in the
// channel under its name, and Next returns all events from the first on. Errors of the server and the network are
// *Error; ctx limits all of Dial.
func Dial(ctx context.Context, options Options) (*Conn, error) {
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
	conn.joining = append(conn.joining, ReceivedEvent{Event: Joined{Name: conn.name}, At: time.Now()})
	return conn, nil
}

// connect opens a WebSocket, does the Socket.IO handshake on it and starts reading.
func connect(ctx context.Context, options Options) (*Conn, error) {
	if options.Found == nil {
		options.Found = &FoundServer{}
	}
	address, inside, err := options.Found.find(ctx, options)
	if err != nil {
		return nil, err
	}
	client, closeIdle := newHTTPClient(!inside && !isProxied(address), options.DialContext)
	defer closeIdle()
	ws, err := openWebSocket(ctx, client, address)
	options.Found.opened(err)
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

func openWebSocket(ctx context.Context, client *http.Client, address string) (*websocket.Conn, error) {
	//nolint:bodyclose // callers need not, as the library documents
	ws, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: client,
		HTTPHeader: http.Header{"User-Agent": {userAgent}},
		// A compressed frame can be a thousand times as large as what is sent.
		CompressionMode: websocket.CompressionDisabled,
	})
	if err == nil {
		return ws, nil
	}
	host := hostOf(address)
	if response == nil {
		return nil, unreachable("cannot connect to "+host, err)
	}
	body, _ := io.ReadAll(response.Body) // the library keeps its beginning
	refused := responseError(host, host+" does not open a WebSocket:", response, body)
	refused.Err = err
	return nil, refused
}

// handshake waits for the open packet and connects to the main namespace. It returns how long the server may be silent
// before the connection counts as lost.
func handshake(ctx context.Context, ws *websocket.Conn, address string) (time.Duration, error) {
	opened, err := awaitPacket(ctx, ws, packetOpen)
	if err != nil {
		return 0, unreachable(hostOf(address)+" does not start a Socket.IO connection", err)
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte(frameConnect)); err != nil {
		return 0, unreachable("connection to "+hostOf(address)+" lost", err)
	}
	answer, err := awaitPacket(ctx, ws, packetConnect, packetConnectError)
	if err != nil {
		return 0, unreachable(hostOf(address)+" does not complete the Socket.IO handshake", err)
	}
	if answer.kind == packetConnectError {
		return 0, connectError(hostOf(address), connectErrorMessage(answer.payload))
	}
	return silenceOf(opened.payload), nil
}

// awaitPacket reads until the first packet of one of the kinds, and answers pings.
func awaitPacket(ctx context.Context, ws *websocket.Conn, kinds ...packetKind) (packet, error) {
	for {
		frame, err := readShort(ctx, ws)
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
			return packet{}, errClosedByServer
		default:
		}
	}
}

// readShort reads the beginning of the next frame. In the handshake none is longer.
func readShort(ctx context.Context, ws *websocket.Conn) ([]byte, error) {
	_, reader, err := ws.Reader(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading from the WebSocket: %w", err)
	}
	frame := &frameReader{from: reader}
	data, err := io.ReadAll(io.LimitReader(frame, maxControl))
	if err == nil {
		err = frame.drain()
	}
	return data, err
}

func connectError(host, said string) *Error {
	reason := status.ReasonServerUnreachable
	if strings.Contains(strings.ToLower(said), "rate limit") {
		reason = status.ReasonConnectionLimited
	}
	return &Error{Reason: reason, Message: host + " refuses the connection: " + serverText(said)}
}

const (
	// defaultSilence is for a server that does not announce its ping interval: Engine.IO's defaults.
	defaultSilence = 45 * time.Second
	maxSilence     = 10 * time.Minute
)

// silenceOf returns the longest time between two pings of the server, from its open packet.
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
	return serverText(host)
}
