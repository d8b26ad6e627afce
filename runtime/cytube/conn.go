package cytube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/config"
)

const (
	// eventBuffer is room for the burst on joining, so that reading goes on while the first events are handled.
	eventBuffer = 256
	// writeTimeout is when a server that takes nothing more counts as gone.
	writeTimeout = 10 * time.Second
)

var (
	errClosed = errors.New("closed by us")
	errNoPong = errors.New("no answer to pings")
	errSilent = errors.New("the server is silent")
	errEnded  = errors.New("closed by the server")
)

// Conn is a connection to a channel. Next may be called from one goroutine at a time, the others from any.
type Conn struct {
	ws      *websocket.Conn
	address string
	silence time.Duration
	name    string

	// joining holds what came before the join was complete; Next hands it over first.
	joining []Event
	events  chan Event
	// err is why reading ended. It is set before events is closed.
	err error

	stop     context.CancelCauseFunc
	workers  sync.WaitGroup
	closeOne sync.Once
}

// start makes a Conn that reads and pings until it is closed or the connection ends.
func start(ctx context.Context, ws *websocket.Conn, address string, silence time.Duration, options Options) *Conn {
	// The context of the caller bounds the dialing, not the connection.
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &Conn{ws: ws, address: address, silence: silence, stop: stop, events: make(chan Event, eventBuffer)}
	c.workers.Go(func() {
		defer close(c.events)
		c.err = c.lost(ctx, c.read(ctx))
		stop(c.err)
		_ = ws.CloseNow() // nothing can be said any more either
	})
	c.workers.Go(func() { c.keepAlive(ctx, options.PingEvery, options.PongTimeout) })
	return c
}

// Next waits for the next event. Once the connection has ended it returns why, as an *Error.
func (c *Conn) Next(ctx context.Context) (Event, error) {
	if len(c.joining) > 0 {
		event := c.joining[0]
		c.joining = c.joining[1:]
		return event, nil
	}
	return c.next(ctx)
}

func (c *Conn) next(ctx context.Context) (Event, error) {
	select {
	case event, open := <-c.events:
		if !open {
			return nil, c.err
		}
		return event, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for an event: %w", ctx.Err())
	}
}

// Say says a line in the channel. That it was said is known only when it comes back as a ChatMessage.
func (c *Conn) Say(ctx context.Context, text string) error {
	return c.send(ctx, "chatMsg", chatLine{Msg: text})
}

type chatLine struct {
	Msg  string   `json:"msg"`
	Meta struct{} `json:"meta"`
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

// Close leaves the channel, with a close frame while the connection stands, and waits until
// everything that belongs to the connection has ended. It can be called more than once.
func (c *Conn) Close() {
	c.closeOne.Do(func() {
		_ = c.ws.Close(websocket.StatusNormalClosure, "")
		c.stop(errClosed)
	})
	c.workers.Wait()
}

// read delivers events until the connection ends and returns why.
func (c *Conn) read(ctx context.Context) error {
	var kick *Error
	for {
		event, err := c.readEvent(ctx)
		if err != nil && kick != nil {
			return kick // the server's word says more than that it closed
		}
		if err != nil {
			return err
		}
		if kicked, ok := event.(Kick); ok {
			kick = kickError(kicked)
		}
		select {
		case c.events <- event:
		case <-ctx.Done():
			return fmt.Errorf("delivering an event: %w", context.Cause(ctx))
		}
	}
}

// readEvent reads up to the next event and deals with everything else that comes before.
func (c *Conn) readEvent(ctx context.Context) (Event, error) {
	for {
		got, err := c.readPacket(ctx)
		var event Event
		switch {
		case err != nil:
		case got.kind == packetPing:
			err = c.write(ctx, encodePong(got.payload))
		case got.kind == packetClose || got.kind == packetDisconnect:
			err = errEnded
		case got.kind == packetEvent:
			event, err = decodeEvent(got.payload)
		}
		if malformed, ok := errors.AsType[*FrameError](err); ok {
			return Malformed{Err: malformed}, nil
		}
		if event != nil || err != nil {
			return event, err
		}
	}
}

func (c *Conn) readPacket(ctx context.Context) (packet, error) {
	messageType, frame, err := c.readFrame(ctx)
	if err != nil {
		return packet{}, err
	}
	if messageType != websocket.MessageText {
		return packet{}, &FrameError{Kind: "binary", Size: len(frame)}
	}
	return decodePacket(frame)
}

func (c *Conn) readFrame(ctx context.Context) (websocket.MessageType, []byte, error) {
	frameCtx, cancel := context.WithTimeoutCause(ctx, c.silence, errSilent)
	defer cancel()
	messageType, frame, err := c.ws.Read(frameCtx)
	if err == nil {
		return messageType, frame, nil
	}
	if cause := context.Cause(frameCtx); cause != nil {
		return 0, nil, fmt.Errorf("reading from the WebSocket: %w", cause)
	}
	if websocket.CloseStatus(err) != -1 {
		return 0, nil, errEnded
	}
	return 0, nil, fmt.Errorf("reading from the WebSocket: %w", err)
}

// keepAlive pings until the connection ends, and ends it when the server does not answer: one that
// is gone without a word would otherwise be noticed only minutes later.
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
			return // the reader knows better why, if it was not late
		}
	}
}

// lost makes an *Error of why reading ended.
func (c *Conn) lost(ctx context.Context, err error) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{
		Reason:  config.ReasonServerUnreachable,
		Message: fmt.Sprintf("connection to %s lost: %s", hostOf(c.address), shortCause(err)),
		Err:     err,
	}
}
