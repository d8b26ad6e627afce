package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/status"
)

const (
	// dialTimeout bounds an attempt to reach a server, and then the server's greeting.
	dialTimeout = 2 * time.Second
	// pingInterval finds a server that went away without closing the connection within three of it.
	pingInterval = 10 * time.Second

	minReconnectWait = 250 * time.Millisecond
	maxReconnectWait = 2 * time.Second
)

// Options say how to connect.
type Options struct {
	// URL is one or several NATS URLs, comma separated.
	URL string
	// Name is what the NATS server's monitoring calls this connection.
	Name string
	// Log gets one line for each change of the connection.
	Log *slog.Logger
	// Registerer gets the connection's metrics. Nil: none.
	Registerer prometheus.Registerer
	// CredentialsDir and TLSDir are the folders of config.NATS, empty for none.
	CredentialsDir, TLSDir string
	// InProcess is a server in this process, reached without a socket. Then URL is only what it is called.
	InProcess nats.InProcessConnProvider
}

// Conn is a connection to NATS that reconnects until it is closed.
// While it is away nothing is kept for sending; that is the Publisher's work.
type Conn struct {
	nats     atomic.Pointer[nats.Conn]
	state    *connState
	folders  folders
	login    atomic.Pointer[login] // of the last attempt
	stopDial context.CancelFunc    // also ends watching the folders
	watching sync.WaitGroup
	closed   chan struct{}
}

// Connect makes the first attempt and returns, connected or not: an absent server is waited for.
// An error means that the options can never work, or that ctx ended, which ends only this attempt.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	servers := redactURL(o.URL)
	dialing, stopDial := context.WithCancel(context.WithoutCancel(ctx))
	interrupt := context.AfterFunc(ctx, stopDial)
	c := &Conn{
		state:    newConnState(servers, o.Log),
		folders:  folders{credentials: o.CredentialsDir, tls: o.TLSDir},
		stopDial: stopDial,
		closed:   make(chan struct{}),
	}
	connection, err := nats.Connect(o.URL, c.natsOptions(dialing, o)...)
	if err != nil {
		stopDial()
		if malformed, ok := errors.AsType[*url.Error](err); ok {
			err = malformed.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("connecting to NATS at %s: %w", servers, err)
	}
	c.nats.Store(connection)
	if !interrupt() {
		c.Close()
		return nil, fmt.Errorf("connecting to NATS at %s: %w", servers, context.Cause(ctx))
	}
	if connection.IsConnected() {
		// The callback comes a moment later; who asks right after Connect must not hear "no".
		c.state.connected(connection.ConnectedUrlRedacted())
	}
	if o.Registerer != nil {
		registerConn(o.Registerer, c.state)
	}
	c.watching.Go(func() { c.watch(dialing) })
	return c, nil
}

func (c *Conn) natsOptions(dialing context.Context, o Options) []nats.Option {
	options := []nats.Option{
		nats.Name(o.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		// Credentials can be mended on the server's side, so a refusal is no reason to stop.
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(c.reconnectDelay),
		// The buffer of nats.go is not counted and may send twice; the Publisher keeps instead.
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.SkipHostLookup(), // the dialer does it
		nats.SetCustomDialer(&dialer{context: dialing, before: c.logIn}),
		c.firstLogin,
		nats.ConnectHandler(func(nc *nats.Conn) { c.state.connected(nc.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.state.connected(nc.ConnectedUrlRedacted()) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.state.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.state.attemptFailed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { c.state.reported(sub, err) }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			c.state.closed(nc.LastError())
			close(c.closed)
		}),
	}
	if o.TLSDir != "" {
		options = append(options, useTLS(c.login.Load))
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	return options
}

// reconnectDelay is called after all servers were tried in vain. It is also the one place that learns,
// after the first attempt, why a server that could be reached refused us.
func (c *Conn) reconnectDelay(attempts int) time.Duration {
	if connection := c.nats.Load(); connection != nil {
		if err := connection.LastError(); err != nil {
			c.state.attemptFailed(err)
		}
	}
	spread := min(minReconnectWait<<min(attempts, 3), maxReconnectWait-minReconnectWait)
	return minReconnectWait + rand.N(spread) //nolint:gosec // spreads clients over time, guards nothing
}

// Check is the state of the connection as status.NATSCheck.
func (c *Conn) Check() status.Check { return c.state.check() }

// Connected says whether the connection stands. It never blocks.
func (c *Conn) Connected() bool { return c.state.isConnected() }

// Generation returns a number that changes with every reconnect, before anything can be sent on the new connection.
func (c *Conn) Generation() uint64 { return c.NATS().Stats().Reconnects }

// NATS is the connection for subscriptions. They survive reconnects.
func (c *Conn) NATS() *nats.Conn { return c.nats.Load() }

// Closed is closed when the connection ended for good: after Close, or when the server ended it with
// an error after which nats.go does not reconnect. Then only a new process helps.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Close sends what is on its way, ends the connection and waits until no callback runs any more.
func (c *Conn) Close() {
	c.state.stop()
	if c.state.isConnected() {
		// A server that does not answer must not delay the end; there is nobody left to tell either.
		_ = c.NATS().FlushTimeout(time.Second)
	}
	c.stopDial()
	c.watching.Wait()
	c.NATS().Close()
	<-c.closed
}

// redactURL leaves out users and passwords: they must reach neither log nor status.
func redactURL(urls string) string {
	servers := strings.Split(urls, ",")
	for i, server := range servers {
		scheme, rest, found := strings.Cut(strings.TrimSpace(server), "://")
		if !found {
			scheme, rest = "nats", scheme
		}
		servers[i] = scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return strings.Join(servers, ",")
}
