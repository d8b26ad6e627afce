package llm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// line is a line of the chat.
type line struct {
	who, text string
	rank      float64
	isOwn     bool // the bot said it
}

// heard are the last lines of the chat, in the memory of this process alone.
type heard struct {
	mu    sync.Mutex
	lines []line
}

func (h *heard) add(one line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, one)
	if len(h.lines) > maxContextLines {
		h.lines = slices.Delete(h.lines, 0, 1)
	}
}

// last returns at most so many of the last lines.
func (h *heard) last(count int) []line {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines[max(0, len(h.lines)-count):])
}

// speaker answers who speaks to the bot.
type speaker struct {
	getenv func(string) string
	heard  heard

	mu      sync.Mutex
	self    string // the bot's name in the channel; empty: not known yet
	askedAt time.Time
	playing string // the title of what plays
}

const (
	// stateInterval is how long the bot's name and what plays are used without asking again, and stateTimeout how long
	// the bot may take to say so.
	stateInterval, stateTimeout = 20 * time.Second, 5 * time.Second
	// staleAfter is how old a line may be that is answered: those that came while another answer was waited for.
	staleAfter = time.Minute
	// apologyInterval is the least time between two lines that say that there is no answer.
	apologyInterval = 5 * time.Minute
)

// hear remembers a line, and answers it if it names the bot. It holds up the lines behind it meanwhile, so that there
// is one answer at a time.
func (s *speaker) hear(ctx context.Context, e *plugin.Event) error {
	if e.User.Name == "" || strings.TrimSpace(e.Text) == "" || plugin.LooksLikeCommand(e.Text) {
		return nil
	}
	self := s.look(ctx, e.Channel)
	said := line{who: e.User.Name, rank: e.User.Rank, text: e.Text, isOwn: e.IsOwn}
	before := s.heard.last(e.Settings().Int(contextLines))
	s.heard.add(said)
	if !s.isMeant(e, self) {
		return nil
	}
	if taken, err := e.Take(ctx, askName); err != nil || !taken {
		return err
	}
	lines, err := s.answer(ctx, e.Channel, said, before, said.who)
	over, isOver := errors.AsType[overBudget](err)
	switch {
	case err == nil:
		return e.Say(ctx, lines...)
	case errors.Is(err, errNotConfigured):
		return nil
	case isOver:
		return s.sayOnce(ctx, e.Channel, "over/"+over.window, over.lasts, over.Error())
	}
	return errors.Join(err, s.sayOnce(ctx, e.Channel, "failed", apologyInterval, "I cannot answer just now."))
}

// sayOnce says a line unless it was said for the same reason within a time.
func (s *speaker) sayOnce(ctx context.Context, c *plugin.Channel, why string, within time.Duration, text string) error {
	isFirst, err := c.KV().Create(ctx, "said/"+why, true, plugin.Expires(within))
	switch {
	case err != nil:
		return fmt.Errorf("noting what is said: %w", err)
	case !isFirst:
		return nil
	}
	return c.Say(ctx, text)
}

// isMeant reports whether a line is for the bot.
func (s *speaker) isMeant(e *plugin.Event, self string) bool {
	settings := e.Settings()
	isIgnored := slices.ContainsFunc(settings.List(ignore), func(name string) bool {
		return strings.EqualFold(name, e.User.Name)
	})
	return settings.Bool(mentions) && !isIgnored && names(e.Text, self) && e.Now().Sub(e.At) < staleAfter
}

// names reports whether a text has a name as a word of its own.
func names(text, name string) bool {
	if name == "" {
		return false
	}
	pattern, err := regexp.Compile(`(?i)(^|[^\pL\pN_-])` + regexp.QuoteMeta(name) + `($|[^\pL\pN_-])`)
	return err == nil && pattern.MatchString(text)
}

// look returns the bot's name in the channel, and asks for it and for what plays if it has not lately.
func (s *speaker) look(ctx context.Context, c *plugin.Channel) (self string) {
	now := c.Now()
	s.mu.Lock()
	self = s.self
	isCurrent := !s.askedAt.IsZero() && now.Sub(s.askedAt) < stateInterval
	if !isCurrent {
		s.askedAt = now // also if there is no answer
	}
	s.mu.Unlock()
	if isCurrent {
		return self
	}
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	state, err := c.State(ctx, plugin.Media)
	if err != nil {
		c.Log().DebugContext(ctx, "the bot does not say its name and what plays", "error", err)
		return self
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.self, s.playing = state.Self, ""
	if state.Playing != nil {
		s.playing = strings.Join(plugin.Spoken(state.Playing.Title, 1), "")
	}
	return s.self
}
