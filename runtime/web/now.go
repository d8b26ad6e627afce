package web

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// nowFile is the template of the page and of its live parts.
const nowFile = "now.html"

// livePattern is that of the events of an open page.
const livePattern = "GET /live"

func (s *Server) nowPages() []page {
	return []page{
		{"GET /{$}", ForReaders, s.serveNow},
		{livePattern, ForReaders, s.serveLive},
	}
}

// liveView is the content of the live parts.
type liveView struct {
	// Trouble is why nothing is live, since TroubleMS. Empty: it is.
	Trouble   string
	TroubleMS int64
	// State is what the bot said last, nil if it never did. Position is where the playback is now, in seconds.
	State    *bus.ChannelState
	Position float64
	// Users are the first of those who are there, MoreUsers is how many others are.
	Users     []bus.ChannelUser
	MoreUsers int
	// Anonymous is how many are there without a name.
	Anonymous int
	// Lines are the newest lines. AwayMS is since when the database does not answer, 0 while it does.
	Lines  []chatLine
	AwayMS int64
	// Version is that of the lines, for pages: it is another one in another process. lines is its number.
	Version string
	lines   uint64
}

// maxShownUsers bounds the list of who is there.
const maxShownUsers = 300

// liveView returns what is known now.
func (s *Server) liveView() liveView {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	content := liveView{
		Trouble: s.live.trouble, State: s.live.state, Lines: slices.Clone(s.live.lines),
		AwayMS: s.live.awayMS(), lines: s.live.version,
		Version: s.live.epoch + "-" + strconv.FormatUint(s.live.version, 10),
	}
	if content.Trouble != "" {
		content.TroubleMS = s.live.troubleSince.UnixMilli()
	}
	if state := s.live.state; state != nil {
		shown := min(len(state.Users), maxShownUsers)
		content.Users, content.MoreUsers = state.Users[:shown], max(state.UserCount, len(state.Users))-shown
		content.Anonymous = max(0, state.Connected-max(state.UserCount, len(state.Users)))
		if state.Playing != nil {
			content.Position = positionAt(state.Playing, s.live.stateAt, time.Now())
		}
	}
	return content
}

// Percent returns how much of what plays has been played, 0 to 100.
func (v liveView) Percent() int {
	if v.State == nil || v.State.Playing == nil || v.State.Playing.Seconds <= 0 {
		return 0
	}
	return int(100 * v.Position / float64(v.State.Playing.Seconds))
}

// Heartbeat returns how often a stream sends something, in seconds.
func (liveView) Heartbeat() int { return int(heartbeat.Seconds()) }

// Whole returns the position in whole seconds.
func (v liveView) Whole() int { return int(v.Position) }

// Upcoming are the items that come next, a few of them.
func (v liveView) Upcoming() []bus.QueuedMedia {
	if v.State == nil {
		return nil
	}
	return v.State.Next[:min(len(v.State.Next), maxUpcoming)]
}

const maxUpcoming = 6

// nowView is the content of the page.
type nowView struct {
	liveView
	// Mine are the reader's own lines on their way.
	Mine mineView
}

func (s *Server) serveNow(w http.ResponseWriter, r *http.Request) {
	content := nowView{liveView: s.liveView()}
	if person, known := personOf(r); known {
		content.Mine = s.mine(r.Context(), person)
	}
	s.render(w, r, http.StatusOK, nowFile, view{Title: "Now", Wide: true, Data: content})
}

// eventStream is the type of server-sent events.
const eventStream = "text/event-stream"

const (
	// heartbeat is how often a stream sends something, so that proxies keep it, and a reader who is gone is noticed. A
	// page that hears nothing for much longer says that it is not live, and opens another stream.
	heartbeat = 15 * time.Second
	// streamWrite is how long a reader may take for one message.
	streamWrite = 10 * time.Second
)

// serveLive sends what happens in the channel as server-sent events, as long as the reader stays and may read.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // it matches GET too, and a stream without content would last for ever
		w.Header().Set("Content-Type", eventStream)
		return
	}
	control := http.NewResponseController(w)
	_, known := personOf(r)
	opened, ok := s.hub.open(!known, func(until time.Time) { _ = control.SetWriteDeadline(until) })
	if !ok {
		s.fail(w, r, http.StatusServiceUnavailable, "Too many pages are open. Try again in a moment.")
		return
	}
	defer s.hub.leave(opened)
	_ = control.SetReadDeadline(time.Time{}) // the server's would end the stream
	header := w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("X-Accel-Buffering", "no") // nginx collects responses otherwise
	send := func(messages ...[]byte) bool {
		opened.mayWrite(s.streamWrite)
		for _, message := range messages {
			if _, err := w.Write(message); err != nil {
				return false
			}
		}
		return control.Flush() == nil
	}
	if first, shown := s.firstMessages(r); send(first...) {
		s.relay(r, opened, shown, send)
	}
}

// relay sends what comes to an open page, without the lines up to the version that it has already.
func (s *Server) relay(r *http.Request, opened *stream, shown uint64, send func(...[]byte) bool) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case next, open := <-opened.messages:
			isShown := open && next.lines != 0 && next.lines <= shown // the first messages were made since
			if !open || !isShown && !send(next.body) {
				return
			}
		case <-beat.C:
			if !s.stillAllowed(r) || !send(sseMessage("alive", []byte("."))) {
				return
			}
		}
	}
}

// firstMessages are what an open page begins with: what may have changed since the page was loaded. shown is the
// version of the lines that the page has then.
func (s *Server) firstMessages(r *http.Request) (messages [][]byte, shown uint64) {
	content := s.liveView()
	parts := []string{"state"}
	// A process that has just started knows less than a page that has lost another one.
	if content.State != nil {
		parts = append(parts, "playing", "people")
	}
	if r.URL.Query().Get("seen") != content.Version && (content.State != nil || len(content.Lines) > 0) {
		parts = append(parts, "lines")
	}
	for _, part := range parts {
		message, err := s.rendered.of(part, content, func() ([]byte, error) { return s.execute(nowFile, part, content) })
		if err != nil {
			s.options.Log.ErrorContext(r.Context(), "cannot render a part of a page", "part", part, "error", err)
			continue
		}
		messages = append(messages, message)
	}
	return messages, content.lines
}

// renderedParts remembers the messages of parts of the Now page that only change with what they show: all readers who
// come share one copy, however long the lines are and however slowly they read.
type renderedParts struct {
	mu    sync.Mutex
	parts map[string]renderedPart
}

// renderedPart is a message, and what it shows.
type renderedPart struct {
	shows   any
	message []byte
}

// of returns the message of a part of a view.
func (p *renderedParts) of(part string, content liveView, render func() ([]byte, error)) ([]byte, error) {
	var shows any // nil: it changes with time
	switch part {
	case "lines":
		shows = content.lines
	case "people":
		shows = content.State
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.parts[part]; shows != nil && known.message != nil && known.shows == shows {
		return known.message, nil
	}
	body, err := render()
	if err != nil {
		return nil, err
	}
	message := sseMessage(part, body)
	if shows != nil {
		p.parts[part] = renderedPart{shows, message}
	}
	return message, nil
}

// stillAllowed reports whether the reader of a stream may still read: a token may have been taken back.
func (s *Server) stillAllowed(r *http.Request) bool {
	person, known := personOf(r)
	return !known || s.options.Config.Public || s.isLocal(r) || s.isStill(person, r)
}
