package cytube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	// MayLogin reports whether the bot may still log in. It is called right before the login, since that makes the
	// server kick everybody who is in the channel with the same account. Nil: always.
	MayLogin func() bool
}

// maxFrame is more than the server's maxPayload, which a long playlist exceeds.
const maxFrame = 16 << 20

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

// newHTTPClient returns a client for one attempt: the next attempt must not reuse a broken connection.
func newHTTPClient() (*http.Client, func()) {
	transport := &http.Transport{Proxy: proxyFromEnvironment, ForceAttemptHTTP2: true}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

// proxyFromEnvironment is http.ProxyFromEnvironment with an error that does not quote the proxy's URL: it may have a
// password.
func proxyFromEnvironment(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("the proxy in the environment (HTTPS_PROXY or HTTP_PROXY) is no URL, " +
			"expected http(s)://host:port or socks5://host:port")
	}
	return proxy, nil
}

func openWebSocket(ctx context.Context, client *http.Client, address string) (*websocket.Conn, error) {
	//nolint:bodyclose // callers need not, as the library documents
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
		message := host + " limits connections: " + serverText(response.Status)
		return nil, &Error{Reason: status.ReasonConnectionLimited, Message: message}
	}
	return nil, &Error{
		Reason:  status.ReasonServerUnreachable,
		Message: host + " does not open a WebSocket: HTTP status " + serverText(response.Status),
		Err:     err,
	}
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
			return packet{}, errClosedByServer
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
	return host
}

// userAgent identifies the bot to the administrator of a server.
const userAgent = "rosey (https://rosey.dev)"

// maxSocketConfig limits a response that should have a few hundred bytes.
const maxSocketConfig = 1 << 20

// socketConfig is the response to GET /socketconfig/<channel>.json: the socket servers of the channel, or why there are
// none.
type socketConfig struct {
	Servers []socketServer `json:"servers"`
	Error   string         `json:"error"`
}

type socketServer struct {
	URL    string `json:"url"`
	Secure bool   `json:"secure"`
}

// socketURL asks the site for the channel's socket server. Errors are *Error.
func socketURL(ctx context.Context, client *http.Client, server, channel string) (string, error) {
	answer, err := getSocketConfig(ctx, client, server+"/socketconfig/"+url.PathEscape(channel)+".json")
	if err != nil {
		return "", err
	}
	if answer.Error != "" {
		return "", &Error{
			Reason:  status.ReasonChannelRefused,
			Message: fmt.Sprintf("%s refuses channel %s: %s", server, channel, serverText(answer.Error)),
		}
	}
	chosen, err := webSocketURL(choose(answer.Servers))
	if err != nil {
		return "", unreachable(server+" returns no usable socket server", err)
	}
	return chosen, nil
}

func getSocketConfig(ctx context.Context, client *http.Client, address string) (socketConfig, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return socketConfig{}, unreachable("cannot request "+address, err)
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := client.Do(request)
	if err != nil {
		return socketConfig{}, unreachable("cannot reach "+address, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSocketConfig))
	if err != nil {
		return socketConfig{}, unreachable("cannot read "+address, err)
	}
	var answer socketConfig
	err = json.Unmarshal(body, &answer)
	if answer.Error == "" && response.StatusCode != http.StatusOK {
		// Without CyTube's error this is a response of a proxy, or of another site.
		return socketConfig{}, &Error{
			Reason: status.ReasonServerUnreachable, Message: address + " returns HTTP status " + serverText(response.Status),
		}
	}
	if err != nil {
		return socketConfig{}, &Error{
			Reason: status.ReasonServerUnreachable, Message: address + " is not the response of a CyTube server", Err: err,
		}
	}
	return answer, nil
}

// choose returns the URL of the first secure server, else of the first.
func choose(servers []socketServer) string {
	for _, server := range servers {
		if server.Secure {
			return server.URL
		}
	}
	if len(servers) > 0 {
		return servers[0].URL
	}
	return ""
}

func webSocketURL(server string) (string, error) {
	if server == "" {
		return "", errors.New("the list of servers is empty")
	}
	address, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("socket server %q: not a URL", serverText(server)) // err quotes all of it
	}
	switch address.Scheme {
	case "http":
		address.Scheme = "ws"
	case "https":
		address.Scheme = "wss"
	default:
		return "", fmt.Errorf("socket server %q: expected http:// or https://", serverText(server))
	}
	address = address.JoinPath("socket.io/")
	address.RawQuery = "EIO=4&transport=websocket"
	return address.String(), nil
}
