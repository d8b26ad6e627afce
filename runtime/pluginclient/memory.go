package pluginclient

import (
	"fmt"
	"sync"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxRemembered is how many requests are remembered.
	maxRemembered = 256
	// maxRepeats is how many repetitions of a request wait for its outcome.
	maxRepeats = 8
)

// memory remembers requests of a plugin by their kinds and IDs, so that one that is repeated is not done twice. It is
// safe for concurrent use.
type memory struct {
	mu   sync.Mutex
	byID map[string]*remembered
	// done are the IDs of those whose outcome is known, the oldest first. Those that wait are never forgotten: they are
	// few, because the lanes and the talker are bounded.
	done []string
}

// remembered is a request, and what became of it.
type remembered struct {
	// outcome is nil until it is known, and waiting are the requests that wait for it.
	outcome *bus.PluginOutcome
	waiting []*request
}

func newMemory() *memory { return &memory{byID: map[string]*remembered{}} }

// checkID returns what is wrong with the ID of a request, or nil.
func checkID(id string) *bus.PluginOutcome {
	if id == "" || len(id) > maxID {
		return invalid(fmt.Sprintf("id: expected 1 to %d bytes", maxID))
	}
	return nil
}

// begin notes a request by its ID, and reports whether no earlier one of its kind has it. known is what became of the
// earlier one; without it, r gets the answer once it is known.
func (m *memory) begin(r *request, id string) (isNew bool, known *bus.PluginOutcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := r.kind + " " + id
	earlier, found := m.byID[key]
	if !found {
		m.byID[key] = &remembered{waiting: []*request{r}}
		return true, nil
	}
	if earlier.outcome == nil && len(earlier.waiting) < maxRepeats {
		earlier.waiting = append(earlier.waiting, r)
	}
	return false, earlier.outcome
}

// end notes what became of a request, and returns those that wait for it. A request because of which nothing was done
// is forgotten: it may be made again.
func (m *memory) end(kind, id string, outcome bus.PluginOutcome) (waiting []*request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := kind + " " + id
	one := m.byID[key]
	if one == nil {
		return nil
	}
	waiting, one.outcome, one.waiting = one.waiting, &outcome, nil
	switch outcome.Outcome {
	case bus.OutcomeThrottled, bus.OutcomeDenied, bus.OutcomeInvalid:
		delete(m.byID, key)
		return waiting
	}
	m.done = append(m.done, key)
	if len(m.done) > maxRemembered {
		delete(m.byID, m.done[0])
		m.done = m.done[1:]
	}
	return waiting
}

// beginOnce is memory.begin, and answers a request that was made before.
func (p *plugin) beginOnce(r *request, id string) (isNew bool) {
	isNew, known := p.requests.begin(r, id)
	if known != nil {
		p.answer(r, *known)
	}
	return isNew
}

// endOnce answers all requests with an ID.
func (p *plugin) endOnce(kind, id string, outcome bus.PluginOutcome) {
	for _, r := range p.requests.end(kind, id, outcome) {
		p.answer(r, outcome)
	}
}
