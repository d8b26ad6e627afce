package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Target selects connections: those of an address, including future ones, or those of a logged-in user. The zero value
// selects all connections, including future ones.
type Target struct {
	Address string `json:"address,omitempty"`
	User    string `json:"user,omitempty"`
}

func (t Target) matches(address, user string) bool {
	return (t.Address == "" || t.Address == address) && (t.User == "" || strings.EqualFold(t.User, user))
}

// faults are the current faults of the network. The server's lock guards them.
type faults struct {
	gates      map[*gate]struct{} // of all connections
	partitions []Target
	healed     chan struct{} // closed and replaced by every heal
	slow       []slowness    // the last match applies
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

// Partition stops all bytes from and to the target's connections until [Server.Heal]. The connections stay open: sent
// bytes wait, and if one side closes the connection, the other sees it afterwards. A partition of all, or of an
// address, also applies to new connections.
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

// Slow delays every frame from and to the target's connections. Zero ends the delay; for all connections, it ends all
// delays.
func (s *Server) Slow(target Target, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	everybody := target == Target{}
	s.faults.slow = slices.DeleteFunc(s.faults.slow, func(old slowness) bool { return everybody || old.target == target })
	s.faults.slow = append(s.faults.slow, slowness{target: target, delay: delay})
	s.record(Entry{Kind: KindSlow, Address: target.Address, User: target.User, Count: int(delay.Milliseconds())})
}

// RefuseLogins makes every login fail for the given time; zero ends that. An empty reason stands for the message of a
// server without its database.
func (s *Server) RefuseLogins(d time.Duration, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason == "" {
		reason = "Database failure"
	}
	s.noLoginsUntil, s.noLoginsReason = time.Now().Add(d), reason
	s.record(Entry{Kind: KindNoLogins, Text: reason, Count: int(d.Milliseconds())})
}

// slowDown waits for the delay of the session's frames.
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

// user returns the name of the session's user.
func (s *session) user() string {
	if s.client == nil {
		return ""
	}
	return s.client.name
}

// newGate returns the gate of a new connection.
func (s *Server) newGate(address string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &gate{}
	s.faults.gates[g] = struct{}{}
	if s.faults.blocks(address) {
		g.shut()
	}
	return g
}

// forgetGate removes the gate of a connection that has ended. The gate stays while the other side must not see the end.
func (s *Server) forgetGate(g *gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.end() {
		delete(s.faults.gates, g)
	}
}

// blocks reports whether a partition applies to new connections from the address.
func (f *faults) blocks(address string) bool {
	return slices.ContainsFunc(f.partitions, func(t Target) bool { return t.User == "" && t.matches(address, "") })
}

// partitioned returns a channel that the next Heal closes, or nil if a new connection from the address is not
// partitioned.
func (s *Server) partitioned(address string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.blocks(address) {
		return s.faults.healed
	}
	return nil
}

// reachable waits until no partition applies to a request. It reports false if the client has given up or the server is
// down. In that case it closes the connection without a response.
func (s *Server) reachable(w http.ResponseWriter, r *http.Request, address string) bool {
	for healed := s.partitioned(address); healed != nil; healed = s.partitioned(address) {
		select {
		case <-healed:
		case <-r.Context().Done():
			return false
		case <-s.stopped.Done():
			return true // the response reports that the server is closing
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
