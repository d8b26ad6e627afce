package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Target chooses connections: those of an address, or those over which somebody is logged in. The zero value is all,
// with those that are still to come; those still to come from an address are its too.
type Target struct {
	Address string `json:"address,omitempty"`
	User    string `json:"user,omitempty"`
}

func (t Target) matches(address, user string) bool {
	return (t.Address == "" || t.Address == address) && (t.User == "" || strings.EqualFold(t.User, user))
}

// faults is what is wrong with the network at the moment. The server's lock guards it.
type faults struct {
	gates      map[*gate]struct{} // of all connections
	partitions []Target
	healed     chan struct{} // closed and replaced by every heal
	slow       []slowness    // the last that matches counts
	downUntil  time.Time
}

type slowness struct {
	target Target
	delay  time.Duration
}

func newFaults() faults {
	return faults{gates: map[*gate]struct{}{}, healed: make(chan struct{})}
}

func (f *faults) heal() {
	for g := range f.gates {
		if g.open() {
			delete(f.gates, g)
		}
	}
	f.partitions = nil
	close(f.healed)
	f.healed = make(chan struct{})
}

// Partition lets no byte through from or to the target's connections until [Server.Heal]. Neither side is told: what
// is sent waits, and an end that one side comes to is seen by the other afterwards. A partition of all, or of an
// address, is for new connections too.
func (s *Server) Partition(target Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.partitions = append(s.faults.partitions, target)
	for session := range s.sessions {
		if target.matches(session.address, session.user()) {
			session.conn.gate.shut()
		}
	}
	s.record(Entry{Kind: KindPartition, Address: target.Address, User: target.User})
}

// Heal ends every partition.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.heal()
	s.record(Entry{Kind: KindHeal})
}

// Slow makes every frame from and to the target's connections take longer. Zero ends that; for all it ends it for each.
func (s *Server) Slow(target Target, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	everybody := target == Target{}
	s.faults.slow = slices.DeleteFunc(s.faults.slow, func(old slowness) bool { return everybody || old.target == target })
	s.faults.slow = append(s.faults.slow, slowness{target: target, delay: delay})
	s.record(Entry{Kind: KindSlow, Address: target.Address, User: target.User, Count: int(delay.Milliseconds())})
}

// RefuseLogins answers every login with an error for a while; with a duration of zero no longer. Empty: the words of
// a server that lost its database.
func (s *Server) RefuseLogins(d time.Duration, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason == "" {
		reason = "Database failure"
	}
	s.noLoginsUntil, s.noLoginsReason = time.Now().Add(d), reason
	s.record(Entry{Kind: KindNoLogins, Text: reason, Count: int(d.Milliseconds())})
}

// slowDown waits for as long as a frame of the session takes longer.
func (s *Server) slowDown(ctx context.Context, of *session) error {
	s.mu.Lock()
	var delay time.Duration
	for _, slow := range s.faults.slow {
		if slow.target.matches(of.address, of.user()) {
			delay = slow.delay
		}
	}
	s.mu.Unlock()
	if delay == 0 {
		return nil
	}
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting on a slow connection: %w", ctx.Err())
	}
}

// user is the name of whoever is logged in over the session.
func (s *session) user() string {
	if s.client == nil {
		return ""
	}
	return s.client.name
}

// newGate is for a connection that was let through.
func (s *Server) newGate(address string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &gate{}
	s.faults.gates[g] = struct{}{}
	if s.faults.holds(address) {
		g.shut()
	}
	return g
}

// forgetGate is for a connection that ended. Its gate stays while the other side must not see that.
func (s *Server) forgetGate(g *gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.end() {
		delete(s.faults.gates, g)
	}
}

// holds says whether a partition is for new connections from the address.
func (f *faults) holds(address string) bool {
	return slices.ContainsFunc(f.partitions, func(t Target) bool { return t.User == "" && t.matches(address, "") })
}

// partitioned returns what closes at the next heal if a new connection from the address would not come through.
func (s *Server) partitioned(address string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.holds(address) {
		return s.faults.healed
	}
	return nil
}

// reachable waits out a partition, and is false for a request that comes to nothing: its sender gave up, or the
// server is down. A server that is down does not answer, so the connection is closed without a word.
func (s *Server) reachable(w http.ResponseWriter, r *http.Request, address string) bool {
	for healed := s.partitioned(address); healed != nil; healed = s.partitioned(address) {
		select {
		case <-healed:
		case <-r.Context().Done():
			return false
		case <-s.stopped.Done():
			return true // to be told that the server is closing
		}
	}
	s.mu.Lock()
	down := time.Now().Before(s.faults.downUntil)
	s.mu.Unlock()
	if !down {
		return true
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
	return false
}
