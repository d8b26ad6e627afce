package cytube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"

	"rosey.dev/rosey/runtime/status"
)

const (
	// eventBuffer has room for the burst of events on joining, so that reading continues while the first are handled.
	eventBuffer = 256
	// writeTimeout is how long a server may take to accept a frame before the connection counts as lost.
	writeTimeout = 10 * time.Second
	// pingEvery is the time between two pings. The server's own heartbeat takes minutes to notice a broken connection.
	pingEvery = 5 * time.Second
	// pongTimeout is how long the server may take to answer a ping before the connection counts as lost.
	pongTimeout = 10 * time.Second
)

var (
	errClosed         = errors.New("closed by the bot")
	errNoPong         = errors.New("the server does not answer pings")
	errSilent         = errors.New("the server is silent")
	errClosedByServer = errors.New("closed by the server")
	errTooLarge       = errors.New("the server sent a frame that is too long")
	// errDisconnected is for a disconnect on the level of Socket.IO, which the server sends on purpose: a proxy that
	// restarts only closes the WebSocket.
	errDisconnected = errors.New("ended by the server")
)

// Conn is a connection to a channel. Next may be called from one goroutine at a time, all other methods from any.
type Conn struct {
	ws      *websocket.Conn
	address string
	// silence is how long the server may send nothing before the connection counts as lost.
	silence time.Duration
	// name is the user name as the server spells it. Empty: an anonymous watcher.
	name string

	// joining holds the events that arrived before the join was complete, joiningSize bytes; Next returns them first.
	joining     []ReceivedEvent
	joiningSize int64
	events      chan queuedEvent
	// room is what is left of maxQueued.
	room *semaphore.Weighted
	// buffer is for the frame that is being read.
	buffer bytes.Buffer
	// frame is Options.Frame.
	frame func(kind string)
	// err is why reading ended. It is set before events is closed.
	err error

	stop    context.CancelCauseFunc
	workers sync.WaitGroup
}

// queuedEvent is an event that was read and not yet returned.
type queuedEvent struct {
	ReceivedEvent
	size int64 // taken of Conn.room
}

// start returns a Conn that reads and pings until it is closed or the connection ends.
func start(ctx context.Context, ws *websocket.Conn, address string, silence time.Duration, options Options) *Conn {
	// The caller's context limits Dial, not the connection.
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &Conn{
		ws: ws, address: address, silence: silence, stop: stop, frame: options.Frame,
		events: make(chan queuedEvent, eventBuffer), room: semaphore.NewWeighted(maxQueued),
	}
	c.workers.Go(func() {
		defer close(c.events)
		c.err = c.connectionError(ctx, c.read(ctx))
		stop(c.err)
		_ = ws.CloseNow() // so that writes fail too
	})
	c.workers.Go(func() { c.keepAlive(ctx, pingEvery, pongTimeout) })
	return c
}

// Next waits for the next event. After the last one it returns why the connection ended, as an *Error.
func (c *Conn) Next(ctx context.Context) (ReceivedEvent, error) {
	if len(c.joining) > 0 {
		event := c.joining[0]
		c.joining = c.joining[1:]
		return event, nil
	}
	return c.next(ctx)
}

func (c *Conn) next(ctx context.Context) (ReceivedEvent, error) {
	select {
	case event, open := <-c.events:
		if !open {
			return ReceivedEvent{}, c.err
		}
		c.room.Release(event.size)
		return event.ReceivedEvent, nil
	case <-ctx.Done():
		return ReceivedEvent{}, fmt.Errorf("waiting for an event: %w", ctx.Err())
	}
}

func (c *Conn) send(ctx context.Context, name string, argument any) error {
	frame, err := encodeEvent(name, argument)
	if err != nil {
		return err
	}
	if err := c.write(ctx, frame); err != nil {
		return fmt.Errorf("sending %s: %w", name, err)
	}
	return nil
}

func (c *Conn) write(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, frame); err != nil {
		return fmt.Errorf("writing to the WebSocket: %w", err)
	}
	return nil
}

// Leave leaves the channel and closes the connection. It waits until the server has removed the bot from the user list,
// unless ctx or the connection ends before: then the server removes it when it notices that the connection is closed.
func (c *Conn) Leave(ctx context.Context) {
	if c.write(ctx, []byte(frameDisconnect)) == nil {
		// The server does not acknowledge a disconnect, but it handles frames in order: the pong follows it.
		_ = c.ws.Ping(ctx)
	}
	c.Close()
}

// Close closes the connection and waits for its goroutines. It does not wait for the server, as the close handshake of
// a WebSocket would. It can be called more than once.
func (c *Conn) Close() {
	c.stop(errClosed)
	_ = c.ws.CloseNow()
	c.workers.Wait()
}

// read delivers events until the connection ends, and returns why it ended.
func (c *Conn) read(ctx context.Context) error {
	var kick *Error
	for {
		received, err := c.readEvent(ctx)
		if err != nil && kick != nil {
			return kick // its reason says more than that the server closed the connection
		}
		if err != nil {
			return err
		}
		if kicked, ok := received.Event.(Kick); ok {
			kick = kickError(kicked)
		}
		if err := c.deliver(ctx, received); err != nil {
			return err
		}
	}
}

// deliver waits until there is room for an event, so that a server cannot send faster than events are handled.
func (c *Conn) deliver(ctx context.Context, received ReceivedEvent) error {
	event := queuedEvent{received, min(received.size(), maxQueued)}
	err := c.room.Acquire(ctx, event.size)
	if err == nil {
		select {
		case c.events <- event:
			return nil
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("delivering an event: %w", context.Cause(ctx))
}

// readEvent reads until the next event, and handles all other packets before it.
func (c *Conn) readEvent(ctx context.Context) (ReceivedEvent, error) {
	for {
		received, err := c.readOne(ctx)
		if malformed, ok := errors.AsType[*FrameError](err); ok {
			c.frame("malformed")
			return ReceivedEvent{Event: Malformed{Err: malformed}, At: time.Now()}, nil
		}
		if received.Event != nil || err != nil {
			return received, err
		}
	}
}

// keepAlive pings until the connection ends, and ends it when the server does not answer. Without it, minutes would
// pass until a server that vanished is noticed.
func (c *Conn) keepAlive(ctx context.Context, every, pongTimeout time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pingCtx, cancel := context.WithTimeout(ctx, pongTimeout)
		err := c.ws.Ping(pingCtx)
		late := pingCtx.Err() != nil
		cancel()
		if late {
			c.stop(errNoPong)
		}
		if err != nil {
			return // reading fails too and has the better error
		}
	}
}

// connectionError returns the *Error for the reason that reading ended.
func (c *Conn) connectionError(ctx context.Context, err error) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	reason := status.ReasonServerUnreachable
	if errors.Is(err, errDisconnected) {
		reason = status.ReasonDisconnected
	}
	return &Error{
		Reason:  reason,
		Message: fmt.Sprintf("connection to %s lost: %s", hostOf(c.address), networkError(err)),
		Err:     err,
	}
}
