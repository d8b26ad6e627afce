package cytube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"
)

// frameReader reads one frame of the WebSocket. After drain it knows the frame's size and why it ended.
type frameReader struct {
	from io.Reader
	size int
	// err is why the frame could not be read. Nil: it could, so far.
	err error
}

// Read implements io.Reader.
func (r *frameReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.size += n
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err //nolint:wrapcheck // as a reader does
}

// drain reads the rest of the frame, which must be read before the next one can be, and returns why it cannot be read.
func (r *frameReader) drain() error {
	if r.err == nil {
		_, _ = io.Copy(io.Discard, r) // sets r.err
	}
	return r.err
}

// beginning is enough of a frame to see its kind and the name of its event.
const beginning = 64

// readInto reads the frame into an empty buffer, up to the limit of its kind. It reports whether that was all of it.
func (r *frameReader) readInto(buffer *bytes.Buffer) (whole bool, err error) {
	if _, err := io.CopyN(buffer, r, beginning); errors.Is(err, io.EOF) {
		return true, nil
	} else if err != nil {
		return false, r.err
	}
	limit := frameLimit(buffer.Bytes())
	_, err = io.CopyN(buffer, r, int64(limit+1-buffer.Len()))
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, r.err
}

// frameLimit returns the number of bytes up to which a frame is read as a whole.
func frameLimit(frame []byte) int {
	if !bytes.HasPrefix(frame, []byte(frameEvent)) {
		return maxControl
	}
	if _, known := decoders[eventName(frame)]; known && lists[eventName(frame)] == nil {
		return maxEvent
	}
	return maxRaw
}

// eventName returns the name of the event in the beginning of a frame, as it is written there, and "" if it is not
// there.
func eventName(frame []byte) string {
	payload, isEvent := bytes.CutPrefix(frame, []byte(frameEvent))
	rest, isArray := bytes.CutPrefix(withoutAckID(payload), []byte(`["`))
	name, _, ended := bytes.Cut(rest, []byte(`"`))
	if !isEvent || !isArray || !ended {
		return ""
	}
	return string(name)
}

// readOne reads one frame and handles it unless it is an event. The ReceivedEvent has no Event if it was none.
func (c *Conn) readOne(ctx context.Context) (ReceivedEvent, error) {
	frameCtx, cancel := context.WithTimeoutCause(ctx, c.silence, errSilent)
	defer cancel()
	messageType, reader, err := c.ws.Reader(frameCtx)
	if err != nil {
		return ReceivedEvent{}, readError(frameCtx, err)
	}
	frame := &frameReader{from: reader}
	received, err := c.handleFrame(ctx, messageType, frame)
	if failed := frame.drain(); failed != nil {
		return ReceivedEvent{}, readError(frameCtx, failed)
	}
	return received, err
}

// readError returns why a frame could not be read.
func readError(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return errSilent
	case errors.Is(err, websocket.ErrMessageTooBig):
		return errTooLarge
	case websocket.CloseStatus(err) != -1:
		return errClosedByServer
	}
	return fmt.Errorf("reading from the WebSocket: %w", err)
}

func (c *Conn) handleFrame(ctx context.Context, kind websocket.MessageType, frame *frameReader) (ReceivedEvent, error) {
	if kind != websocket.MessageText {
		err := frame.drain()
		return ReceivedEvent{}, errors.Join(err, &FrameError{Kind: "binary", Size: frame.size})
	}
	defer c.resetBuffer()
	whole, err := frame.readInto(&c.buffer)
	if err != nil {
		return ReceivedEvent{}, err
	}
	var received ReceivedEvent
	if whole {
		received, err = c.handleWhole(ctx, c.buffer.Bytes())
	} else {
		received, err = decodeLong(c.buffer.Bytes(), frame)
	}
	if err == nil && received.Event != nil {
		c.frame(packetEvent.String())
	}
	received.At = time.Now()
	return received, err
}

// resetBuffer keeps a buffer of the usual size for the next frame.
func (c *Conn) resetBuffer() {
	c.buffer.Reset()
	if c.buffer.Cap() > maxEvent {
		c.buffer = bytes.Buffer{}
	}
}

func (c *Conn) handleWhole(ctx context.Context, frame []byte) (ReceivedEvent, error) {
	got, err := decodePacket(frame)
	if err != nil {
		return ReceivedEvent{}, err
	}
	switch got.kind {
	case packetEvent:
		return decodeEvent(got.payload)
	case packetPing:
		c.frame(got.kind.String())
		return ReceivedEvent{}, c.write(ctx, encodePong(got.payload))
	case packetClose, packetDisconnect:
		c.frame(got.kind.String())
		return ReceivedEvent{}, errDisconnected
	default:
		c.frame(got.kind.String())
		return ReceivedEvent{}, nil
	}
}

// decodeLong decodes a frame of which only the beginning was read: a list. Any other is longer than CyTube sends, and
// is malformed.
func decodeLong(begin []byte, rest *frameReader) (ReceivedEvent, error) {
	name := eventName(begin)
	malformed := &FrameError{Kind: "long frame"}
	if decoders[name] != nil {
		malformed.Kind = name
	}
	err := errTooLong
	var received ReceivedEvent
	if lists[name] != nil {
		payload := withoutAckID(begin[len(frameEvent):])
		received, err = decodeLongList(name, io.MultiReader(bytes.NewReader(payload), rest))
	}
	if err == nil {
		return received, nil
	}
	if err := rest.drain(); err != nil {
		return ReceivedEvent{}, err
	}
	malformed.Size = rest.size
	return ReceivedEvent{}, malformed
}
