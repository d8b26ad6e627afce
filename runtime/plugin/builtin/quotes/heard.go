package quotes

import (
	"context"
	"slices"
	"strings"
	"sync"

	"rosey.dev/rosey/runtime/plugin"
)

// maxHeard is how many people's last lines are remembered, in the memory of this process alone.
const maxHeard = 200

// heard are the last lines of people.
type heard struct {
	mu    sync.Mutex
	lines map[string]line // by the name in lower case
	order []string        // the keys of lines, whoever wrote last at the end
}

type line struct{ who, text string }

func newHeard() *heard { return &heard{lines: map[string]line{}} }

// note remembers a line. Commands are none that anybody quotes.
func (h *heard) note(_ context.Context, e *plugin.Event) error {
	if e.User.Name == "" || strings.TrimSpace(e.Text) == "" || plugin.LooksLikeCommand(e.Text) {
		return nil
	}
	name := strings.ToLower(e.User.Name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := slices.Index(h.order, name); at >= 0 {
		h.order = slices.Delete(h.order, at, at+1)
	}
	h.order = append(h.order, name)
	h.lines[name] = line{e.User.Name, e.Text}
	if len(h.order) > maxHeard {
		delete(h.lines, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
	return nil
}

func (h *heard) grab(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	name := strings.TrimPrefix(c.Args, "@")
	h.mu.Lock()
	last, found := h.lines[strings.ToLower(name)]
	h.mu.Unlock()
	switch {
	case name == "":
		return plugin.Reply{}, plugin.Usage("expected a person")
	case !found:
		return plugin.Reply{}, plugin.Usage("no line of %q was said lately", plugin.Cut(name, maxWho))
	case strings.EqualFold(last.who, c.User.Name):
		return plugin.Reply{}, plugin.Usage("nobody quotes themselves")
	}
	return keep(ctx, c, plugin.Cut(last.text, maxText), last.who)
}
