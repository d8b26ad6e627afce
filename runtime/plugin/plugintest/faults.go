package plugintest

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
)

// fault is what becomes of a kind of request.
type fault struct {
	why  string // it is denied; empty: it is not
	once bool   // the next one alone
	away bool   // nobody is there
	held *Held
}

// Deny makes a kind of request fail as one that is not granted: "say", "queue", "state.users", "act.kick", or "act" for
// all verbs. "kv", or one operation such as "kv.set", fails as if the database had an error. It holds until Allow.
func (r *Room) Deny(what, why string) { r.setFault(what, &fault{why: why}) }

// DenyOnce is Deny for the next request of the kind alone.
func (r *Room) DenyOnce(what, why string) { r.setFault(what, &fault{why: why, once: true}) }

// Away makes a kind of request, as in Deny, find nobody, as if the bot or the database did not run. It holds until
// Allow.
func (r *Room) Away(what string) { r.setFault(what, &fault{away: true}) }

// Allow ends what Deny, Away, Refuse or LeaveUnconfirmed began.
func (r *Room) Allow(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.faults, what)
	delete(r.answers, plugin.Verb(strings.TrimPrefix(what, "act.")))
}

// HoldBack makes the answers to a kind of request, as in Deny, wait until Release, as those of a slow bot or database.
// What was requested is done before.
func (r *Room) HoldBack(what string) *Held {
	held := &Held{room: r, what: what}
	r.setFault(what, &fault{held: held})
	return held
}

// Held are answers that HoldBack holds back.
type Held struct {
	room    *Room
	what    string
	waiting []func() // guarded by the Room's lock
}

// Await waits until so many answers are held back.
func (h *Held) Await(count int) {
	h.room.t.Helper()
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for {
		h.room.mu.Lock()
		waiting, changed := len(h.waiting), h.room.changed
		h.room.mu.Unlock()
		if waiting >= count {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			h.room.t.Fatalf("the plugin has requested %s %d times, want %d", h.what, waiting, count)
			return
		}
	}
}

// Release sends the answers, and those to all requests that follow at once.
func (h *Held) Release() {
	h.room.setFault(h.what, nil)
	h.room.mu.Lock()
	waiting := h.waiting
	h.waiting = nil
	h.room.mu.Unlock()
	for _, send := range waiting {
		send()
	}
}

func (r *Room) setFault(what string, one *fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one == nil {
		delete(r.faults, what)
		return
	}
	r.faults[what] = one
}

// faultOf returns what becomes of a request, or nil.
func (r *Room) faultOf(what string) *fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind, _, _ := strings.Cut(what, ".")
	for _, name := range []string{what, kind} {
		one := r.faults[name]
		if one != nil && one.once {
			delete(r.faults, name)
		}
		if one != nil {
			return one
		}
	}
	return nil
}

// reply answers a request: as denied says if it is denied, and with what do returns otherwise.
func (r *Room) reply(m *nats.Msg, what string, denied func(why string) any, do func() any) {
	one := r.faultOf(what)
	switch {
	case one == nil:
		respond(m, do())
	case one.away:
		// So the server tells that there is nobody.
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"503"}}}) // the connection is closed at the end
	case one.held != nil:
		answer := do()
		r.mu.Lock()
		defer r.mu.Unlock()
		one.held.waiting = append(one.held.waiting, func() { respond(m, answer) })
		r.wake()
	default:
		respond(m, denied(one.why))
	}
}

func deniedOutcome(why string) any {
	return bus.PluginOutcome{Outcome: bus.OutcomeDenied, Error: why}
}
