package bot

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// bubble is a CyTube server without a network in a synctest bubble: hours pass at once, with exact times. All bots have
// the same address.
type bubble struct {
	t      *testing.T
	sim    *simulator.Server
	dialed chan net.Conn
	bots   []*stoppableBot
}

func newBubble(t *testing.T, options simulator.Options) *bubble {
	t.Helper()
	return newBubbleBehind(t, options, func(server http.Handler) http.Handler { return server })
}

// newBubbleBehind is newBubble with a proxy in front of the server.
func newBubbleBehind(t *testing.T, options simulator.Options, proxy func(http.Handler) http.Handler) *bubble {
	t.Helper()
	sim, err := simulator.New(options)
	must(t, err)
	b := &bubble{t: t, sim: sim, dialed: make(chan net.Conn)}
	web := &http.Server{Handler: proxy(sim.Handler()), ReadHeaderTimeout: time.Minute}
	listener := &pipeListener{dialed: b.dialed, closed: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = web.Serve(listener) })
	t.Cleanup(func() {
		sim.Close()
		_ = web.Close()
		serving.Wait()
	})
	return b
}

// start runs a bot in a channel of its own until the test ends. Without a password it is a guest.
func (b *bubble) start(name, password string) {
	b.t.Helper()
	b.bots = append(b.bots, b.startWith(name, password, nowhere{}))
}

// startWith is start for a bot whose events go to a Publisher. It ends with the test, or with stop.
func (b *bubble) startWith(name, password string, events Publisher) *stoppableBot {
	b.t.Helper()
	account := &config.Account{Username: name}
	if password != "" {
		account.PasswordFile = secret(b.t, password)
	}
	bot := New(config.Config{
		Channel: config.Channel{Server: "http://cytube.example", Name: "channel-of-" + name},
		Account: account, Commands: config.Commands{Chat: new(false), PM: new(false), CooldownSeconds: new(0)},
	}, Options{
		Publisher: events, Requester: nowhere{}, Log: slog.New(slog.DiscardHandler), Instance: name,
	})
	bot.dialContext = b.dial
	ctx, stop := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = bot.Run(ctx) })
	started := &stoppableBot{bot, func() { stop(); running.Wait() }}
	b.t.Cleanup(started.stop)
	return started
}

type stoppableBot struct {
	*Bot

	stop func()
}

func (b *bubble) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case b.dialed <- server:
		return newBufferedConn(client), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// awaitAll waits until all bots are in their channels, and returns how long that took.
func (b *bubble) awaitAll() time.Duration {
	b.t.Helper()
	const limit = time.Hour
	began := time.Now()
	for time.Since(began) < limit {
		synctest.Wait()
		joined := 0
		for _, bot := range b.bots {
			if bot.Check().OK {
				joined++
			}
		}
		if joined == len(b.bots) {
			return time.Since(began)
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("not all bots are in their channels after %s", limit)
	return 0
}

func (b *Bot) refusedBy(reason status.Reason) int {
	return int(testutil.ToFloat64(b.metrics.reconnects.WithLabelValues(string(reason))))
}

// nowhere is where events go, and where nothing comes from.
type nowhere struct{}

func (nowhere) Publish(context.Context, bus.Suffix, string, any)    {}
func (nowhere) Flush(context.Context) error                         { return nil }
func (nowhere) Check() status.Check                                 { return status.Check{OK: true} }
func (nowhere) Request(context.Context, bus.Suffix, any, any) error { return nil }

// pipeListener accepts connections in memory.
type pipeListener struct {
	dialed chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// bufferedConn is one end of a net.Pipe with a buffer for what is written, as the network has one: without it, two ends
// that ping each other at the same moment wait for each other.
type bufferedConn struct {
	net.Conn
	written chan []byte
	once    sync.Once
	closed  chan struct{}
}

func newBufferedConn(pipe net.Conn) *bufferedConn {
	c := &bufferedConn{Conn: pipe, written: make(chan []byte, 1024), closed: make(chan struct{})}
	go c.send()
	return c
}

func (c *bufferedConn) send() {
	defer func() { _ = c.Conn.Close() }()
	for {
		select {
		case data := <-c.written:
			if _, err := c.Conn.Write(data); err != nil {
				return
			}
		case <-c.closed:
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			for len(c.written) > 0 {
				if _, err := c.Conn.Write(<-c.written); err != nil {
					return
				}
			}
			return
		}
	}
}

func (c *bufferedConn) Write(p []byte) (int, error) {
	select {
	case c.written <- slices.Clone(p):
		return len(p), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *bufferedConn) Close() error {
	c.once.Do(func() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		close(c.closed)
	})
	return nil
}

// RemoteAddr returns an address for both ends, as the simulator expects it.
func (*bufferedConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialed:
		return newBufferedConn(c), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// accounts returns the options of a server with accounts bot0, bot1 and so on.
func accounts(count int, limits simulator.Limits) simulator.Options {
	options := simulator.Options{Limits: limits}
	for i := range count {
		options.Accounts = append(options.Accounts, simulator.Account{Name: fmt.Sprint("bot", i), Password: "p"})
	}
	return options
}

// TestManyBotsBehindOneAddressComeBack restarts a server with CyTube's limits, except that it allows all connections at
// once. After the first five it admits one in ten seconds.
func TestManyBotsBehindOneAddressComeBack(t *testing.T) {
	t.Parallel()
	for _, down := range []time.Duration{0, 7 * time.Second, 30 * time.Second, 5 * time.Minute} {
		t.Run("down for "+down.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { restartManyBots(t, down) })
		})
	}
}

func restartManyBots(t *testing.T, down time.Duration) {
	t.Helper()
	const bots, mostRefused = 20, 5
	least := (bots - 5) * 10 * time.Second
	limits := simulator.CyTubeLimits()
	limits.Connections = bots
	b := newBubble(t, accounts(bots, limits))
	for i := range bots {
		b.start(fmt.Sprint("bot", i), "p")
	}
	b.awaitAll()
	time.Sleep(2 * steadySession)
	before := make([]int, bots)
	for i, bot := range b.bots {
		before[i] = bot.refusedBy(status.ReasonConnectionLimited)
	}
	b.sim.Restart(down)
	time.Sleep(down)
	if took := b.awaitAll(); took > least*3/2 {
		t.Errorf("the last bot is back after %s, the limits allow %s", took, least)
	}
	for i, bot := range b.bots {
		if refused := bot.refusedBy(status.ReasonConnectionLimited) - before[i]; refused > mostRefused {
			t.Errorf("bot %d was refused %d times", i, refused)
		}
	}
}

// TestGuestsBehindOneAddressAllComeIn: the server admits one guest in a minute, and each try counts as a connection.
func TestGuestsBehindOneAddressAllComeIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const guests = 8
		b := newBubble(t, simulator.Options{Limits: simulator.CyTubeLimits()})
		for i := range guests {
			b.start(fmt.Sprint("guest", i), "")
		}
		least := (guests - 1) * time.Minute
		if took := b.awaitAll(); took > least*3/2 {
			t.Errorf("the last guest is in after %s, the limits allow %s", took, least)
		}
	})
}

// TestBotsBeyondTheConnectionsOfAnAddressDisturbNobody has two bots more than CyTube admits of one address.
func TestBotsBeyondTheConnectionsOfAnAddressDisturbNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bots, allowed = 12, 10
		b := newBubble(t, accounts(bots, simulator.CyTubeLimits()))
		for i := range bots {
			b.start(fmt.Sprint("bot", i), "p")
		}
		joined := func() (count int) {
			synctest.Wait()
			for _, bot := range b.bots {
				if bot.Check().OK {
					count++
				}
			}
			return count
		}
		time.Sleep(10 * time.Minute)
		if joined() != allowed {
			t.Fatalf("%d bots are in their channels, %d are allowed", joined(), allowed)
		}
		for i, bot := range b.bots {
			if bot.Check().OK {
				must(t, b.sim.Channel(bot.config.Channel.Name).Drop(fmt.Sprint("bot", i)))
				break
			}
		}
		time.Sleep(2 * time.Minute)
		if joined() != allowed {
			t.Errorf("%d bots are in their channels two minutes after one of them lost its connection", joined())
		}
	})
}
