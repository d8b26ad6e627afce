package speech

import (
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// resolve completes the attempt that waits for its echo, if matches accepts its message.
func (s *Speaker) resolve(got Result, matches func(Message) bool) bool {
	if !s.awaiting || !matches(s.attempts[0].message) {
		return false
	}
	s.finish(got, nil)
	return true
}

func toChannel(m Message) bool { return m.To == "" }

// heardOwn handles a line under the bot's name. The server acknowledges nothing and may change the text, so the order
// decides: the line is the echo of the message that was sent last. Only if it differs from that message and equals an
// earlier one that is missing, or is the beginning of one, it is the late echo of the earlier one.
func (s *Speaker) heardOwn(shown string, at time.Time) {
	s.Tracker.hear(shown, at)
	said := Result{Outcome: Said, shown: shown}
	looksAlike := func(m Message) bool { return m.shown() == shown }
	for _, matches := range []func(Message) bool{looksAlike, beginsWith(shown)} {
		if s.resolve(said, func(m Message) bool { return toChannel(m) && matches(m) }) {
			return
		}
		if l := s.Tracker.appeared(shown, matches); l != nil {
			s.partAppeared(l)
			return
		}
	}
	s.resolve(said, toChannel)
}

// heardRefusal handles the event with which the server refuses a message.
func (s *Speaker) heardRefusal(event cytube.Event) {
	anything := func(Message) bool { return true }
	switch event := event.(type) {
	case cytube.Cooldown:
		s.resolve(Result{Outcome: Throttled, Reason: "too many lines at once", wait: event.Wait}, anything)
	case cytube.SpamFiltered:
		s.resolve(Result{Outcome: Filtered, Reason: "spam filter: " + cytube.PlainText(event.Reason)}, anything)
	case cytube.NoFlood:
		outcome := Refused
		if event.IsMute() {
			outcome = Muted
		}
		s.resolve(Result{Outcome: outcome, Reason: cytube.PlainText(event.Message)}, toChannel)
	case cytube.ErrorMsg:
		// An error can be about anything that the bot did. Errors about private messages say so, and a line that is not a
		// command causes none.
		about := func(m Message) bool {
			return m.To != "" && strings.Contains(event.Message, "PM") || m.Command
		}
		s.resolve(Result{Outcome: Refused, Reason: cytube.PlainText(event.Message)}, about)
	}
}

// SetPermission sets whether the bot may chat.
func (s *Speaker) SetPermission(p Permission) {
	if setTo(&s.mu, &s.lastPermission, p) {
		s.post(func() { s.permission.set(p, time.Now()) })
	}
}

// SetFloodLimit sets the channel's own flood limit. Nil: only the server's applies.
func (s *Speaker) SetFloodLimit(limit *cytube.FloodLimit) {
	var own cytube.FloodLimit // zero: none
	if limit != nil {
		own = *limit
	}
	if setTo(&s.mu, &s.lastFlood, own) {
		s.post(func() { s.pacer.setLimit(limit) })
	}
}

// setTo sets a value and reports whether it was another before. The bot sets its permission and its limit after every
// event of the channel, and almost never to anything new: that must not wake Run.
func setTo[T comparable](mu *sync.Mutex, value *T, to T) (changed bool) {
	mu.Lock()
	defer mu.Unlock()
	changed = *value != to
	*value = to
	return changed
}
