package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/status"
)

const (
	// dialTimeout bounds an attempt to reach a server, and then the server's greeting.
	dialTimeout = 2 * time.Second
	// pingInterval detects a server that went away without closing the connection within three intervals.
	pingInterval = 10 * time.Second
	// credentialsInterval is how often the credential files are read. The kubelet updates a mounted Secret within about
	// a minute of its change.
	credentialsInterval = time.Second

	minReconnectDelay = 250 * time.Millisecond
	maxReconnectDelay = 2 * time.Second
)

// Options configure a Conn. URL and Log are required.
type Options struct {
	// URL is one or several NATS URLs, separated by commas.
	URL string
	// Name is the name of the connection in the NATS server's monitoring.
	Name string
	// InboxPrefix is what the subjects of replies begin with: see Subjects.InboxPrefix. Empty: `_INBOX`.
	InboxPrefix string
	// Log gets one line for each change of the connection.
	Log *slog.Logger
	// Registerer gets the connection's metrics. Nil: none.
	Registerer prometheus.Registerer
	// CredentialsDir and TLSDir are those of config.NATS. Empty: none.
	CredentialsDir, TLSDir string
	// Username and Password are a login that is in no file, for InProcess. Empty: none.
	Username, Password string
	// InProcess is a server in this process, reached without a socket. URL then only names it in messages.
	InProcess nats.InProcessConnProvider
}

// Conn is a connection to NATS that reconnects until it is closed. While it is disconnected it buffers nothing. It is
// safe for concurrent use.
type Conn struct {
	nats   atomic.Pointer[nats.Conn]
	state  *connState
	dirs   credentialDirs
	login  atomic.Pointer[login] // as of the last attempt
	cancel context.CancelFunc    // interrupts dialing and watchCredentials
	watch  sync.WaitGroup
	closed chan struct{}
}

// Connect makes the first attempt and returns, connected or not: Conn waits for an absent server. An error means that
// the options can never work, or that ctx has ended; ctx is only for this first attempt.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	servers := redactURL(o.URL)
	if err := checkURLs(o.URL); err != nil && o.InProcess == nil {
		return nil, fmt.Errorf("connecting to NATS at %s: %w", servers, err)
	}
	dialing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	interrupt := context.AfterFunc(ctx, cancel)
	c := &Conn{
		state:  newConnState(servers, o.Log),
		dirs:   credentialDirs{credentials: o.CredentialsDir, tls: o.TLSDir},
		cancel: cancel,
		closed: make(chan struct{}),
	}
	connection, err := nats.Connect(o.URL, c.natsOptions(dialing, o)...)
	if err != nil {
		cancel()
		if _, ok := errors.AsType[*url.Error](err); ok {
			err = errMalformedURL // the error quotes the URL, which may contain a password
		}
		return nil, fmt.Errorf("connecting to NATS at %s: %w", servers, err)
	}
	c.nats.Store(connection)
	if !interrupt() {
		c.Close()
		return nil, fmt.Errorf("connecting to NATS at %s: %w", servers, context.Cause(ctx))
	}
	if connection.IsConnected() {
		// The callback comes a moment later, but Connected must be true as soon as Connect has returned.
		c.state.onConnected(connection)
	}
	c.state.register(o.Registerer)
	if c.dirs != (credentialDirs{}) {
		c.watch.Go(func() { c.watchCredentials(dialing) })
	}
	return c, nil
}

func (c *Conn) natsOptions(dialing context.Context, o Options) []nats.Option {
	options := []nats.Option{
		nats.Name(o.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		// Credentials can be corrected on the server's side, so a refusal is no reason to give up.
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(c.reconnectDelay),
		// The buffer of nats.go has no metric and may send messages twice; package publisher buffers instead.
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.SkipHostLookup(), // the dialer does it
		nats.SetCustomDialer(&dialer{ctx: dialing, before: c.reloadCredentials, onRefusal: c.state.setRefusal}),
		nats.ConnectHandler(c.state.onConnected),
		nats.ReconnectHandler(c.state.onConnected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.state.onDisconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.state.onAttemptFailed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { c.state.onError(sub, err) }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			c.state.onClosed(nc.LastError())
			close(c.closed)
		}),
	}
	if c.dirs != (credentialDirs{}) {
		options = append(options, c.useCredentials)
	}
	if o.Username != "" {
		options = append(options, nats.UserInfo(o.Username, o.Password))
	}
	if o.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	return options
}

// reconnectDelay is called after an attempt has failed at every server. After the first attempt it is the only callback
// that learns why a reachable server refused the connection.
func (c *Conn) reconnectDelay(attempts int) time.Duration {
	if connection := c.nats.Load(); connection != nil {
		if err := connection.LastError(); err != nil {
			c.state.onAttemptFailed(err)
		}
	}
	random := min(minReconnectDelay<<min(attempts, 3), maxReconnectDelay-minReconnectDelay)
	return minReconnectDelay + backoff.Jitter(random)
}

// Check returns the state of the connection as status.NATSCheck.
func (c *Conn) Check() status.Check { return c.state.check.Check() }

// Connected reports whether the connection is established. It never blocks.
func (c *Conn) Connected() bool { return c.state.connected.Load() }

// Generation returns a number that changes with every reconnect, before anything can be sent on the new connection.
func (c *Conn) Generation() uint64 { return c.NATS().Stats().Reconnects }

// NotifyChange makes the connection send to wake, which should have a buffer of one, whenever it is established or
// breaks, until stop is called, so that what waits for something else does not have to poll. It never blocks.
func (c *Conn) NotifyChange(wake chan<- struct{}) (stop func()) { return c.state.notify(wake) }

// denialTimeout is how long a denial may come behind the server's answer to what followed it: nats.go passes it on in
// another goroutine.
const denialTimeout = 500 * time.Millisecond

// MaySubscribe reports whether the server lets the user subscribe to a subject, by trying it: no list of permissions
// can be asked for. That it is denied makes the connection not look broken. Only a few subjects may be tried.
func (c *Conn) MaySubscribe(ctx context.Context, subject string) (bool, error) {
	c.state.try(subject)
	waiting, stop := c.state.untilDenied(ctx, func(denied string) bool { return denied == subject })
	defer stop()
	subscription, err := c.NATS().SubscribeSync(subject)
	if err != nil {
		return false, fmt.Errorf("trying to subscribe to %s: %w", subject, err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
	if err := c.NATS().FlushTimeout(RequestTimeout); err != nil {
		return false, fmt.Errorf("trying to subscribe to %s: %w", subject, err)
	}
	backoff.Sleep(waiting, denialTimeout)
	if ctx.Err() != nil {
		return false, fmt.Errorf("trying to subscribe to %s: %w", subject, context.Cause(ctx))
	}
	return waiting.Err() == nil, nil
}

// DeniedError is the cause of a context that the server's denial has ended.
type DeniedError struct {
	// Subject is what the account may not publish to.
	Subject string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("the account may not publish to %q", e.Subject)
}

// UntilDenied returns a context that also ends when the server denies a subject of JetStream or of a key-value bucket
// that contains name. Then its cause is a DeniedError. The server leaves a request that it denies without a reply, so
// the requester would otherwise wait until its time is up.
func (c *Conn) UntilDenied(ctx context.Context, name string) (context.Context, context.CancelFunc) {
	return c.state.untilDenied(ctx, func(subject string) bool { return isAbout(subject, name) })
}

// Do calls send, which sends requests to JetStream, with a context that ends after timeout, or when the server denies a
// subject as UntilDenied has it. The error is a DeniedError then, and otherwise what send returns.
func (c *Conn) Do(
	ctx context.Context, timeout time.Duration, name string, send func(ctx context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, stop := c.UntilDenied(ctx, name)
	defer stop()
	err := send(ctx)
	if denied, ok := errors.AsType[*DeniedError](context.Cause(ctx)); ok && errors.Is(err, context.Canceled) {
		return denied
	}
	return err
}

// Denied reports whether the server has denied a subject to the user since the connection was established.
func (c *Conn) Denied(subject string) bool { return c.state.isDenied(subject) }

// NATS returns the connection for subscriptions and requests. Subscriptions survive reconnects.
func (c *Conn) NATS() *nats.Conn { return c.nats.Load() }

// Closed returns a channel that is closed when the connection is closed and will not reconnect: after Close, or when
// the server ended it with an error after which nats.go gives up. Then the process has to restart.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Close flushes and closes the connection, and waits until no callback is running any more.
func (c *Conn) Close() {
	c.state.stop()
	if c.Connected() {
		// A server that does not respond must not delay the end of the process.
		_ = c.NATS().FlushTimeout(time.Second)
	}
	c.cancel()
	c.watch.Wait()
	c.NATS().Close()
	<-c.closed
}
