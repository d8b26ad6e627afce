package web

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

const (
	// maxStreams bounds the pages that are open at a time, and maxStrangersStreams those of readers without a token. Each
	// takes a connection and a buffer. It is well below the connections that status.NewServer keeps: at that limit, each
	// new one closes that of an open page.
	maxStreams, maxStrangersStreams = 220, 200
	// streamBuffer is how many messages may wait for a reader. A reader with more is cut off, and loads the state again
	// when it reads: it must neither delay others nor take memory without end.
	streamBuffer = 256
)

// hub passes messages on to all open pages. It is safe for concurrent use.
type hub struct {
	mu        sync.Mutex
	streams   map[*stream]struct{}
	strangers int // streams of readers without a token
	closed    bool
}

// stream is an open page.
type stream struct {
	// messages is closed when the reader is cut off, or the process ends. All streams share each message.
	messages chan *message
	stranger bool
	// limit sets until when a write to the reader may last.
	limit func(until time.Time)

	mu    sync.Mutex
	ended bool
}

// streamEnd is how long a reader may take for the rest when a stream is ended: nobody waits for one who does not read.
const streamEnd = 100 * time.Millisecond

// mayWrite gives the next write some time, unless the stream was ended.
func (s *stream) mayWrite(lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.limit(time.Now().Add(lasts))
	}
}

// end ends the stream, and a write that lasts.
func (s *stream) end() {
	close(s.messages)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.limit(time.Now().Add(streamEnd))
}

// message is a part of the Now page for the open pages. lines is the version of the lines that it shows, 0 if it shows
// none.
type message struct {
	body  []byte
	lines uint64
}

func newHub() *hub { return &hub{streams: map[*stream]struct{}{}} }

// open returns a new stream, and false if there are too many. limit is that of the stream, and not called after leave.
func (h *hub) open(stranger bool, limit func(until time.Time)) (*stream, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.streams) >= maxStreams || stranger && h.strangers >= maxStrangersStreams {
		return nil, false
	}
	opened := &stream{messages: make(chan *message, streamBuffer), limit: limit, stranger: stranger}
	h.streams[opened] = struct{}{}
	if stranger {
		h.strangers++
	}
	return opened, true
}

// leave ends a stream. It may have been ended before.
func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(s)
}

func (h *hub) end(s *stream) {
	if _, open := h.streams[s]; open {
		delete(h.streams, s)
		if s.stranger {
			h.strangers--
		}
		s.end()
	}
}

// send passes a message on to all streams. It never blocks: a stream whose buffer is full is ended.
func (h *hub) send(one message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for stream := range h.streams {
		select {
		case stream.messages <- &one:
		default:
			h.end(stream)
		}
	}
}

// count returns the number of open pages.
func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// close ends all streams for good.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for one := range h.streams {
		h.end(one)
	}
}

// sseMessage returns a server-sent event with HTML. A line break in the HTML begins another line of data. Browsers drop
// an event without data, so that of nothing has a space.
func sseMessage(event string, html []byte) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "event: %s\n", event)
	html = bytes.TrimSpace(html)
	if len(html) == 0 {
		html = []byte(" ")
	}
	for line := range bytes.Lines(html) {
		out.WriteString("data: ")
		out.Write(bytes.TrimRight(line, "\r\n"))
		out.WriteByte('\n')
	}
	out.WriteByte('\n')
	return out.Bytes()
}
