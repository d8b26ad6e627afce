package simulator

import "time"

// timer is a delayed action of the server. Close cancels pending timers.
type timer struct {
	srv     *Server
	timer   *time.Timer
	stopped bool
}

// after calls f after the delay, with the server's lock held. The caller holds the lock.
func (s *Server) after(d time.Duration, f func()) *timer {
	t := &timer{srv: s}
	if s.closed {
		t.stopped = true
		return t
	}
	s.running.Add(1)
	s.timers[t] = struct{}{}
	t.timer = time.AfterFunc(d, func() {
		defer s.running.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.stopped { // stopped while waiting for the lock
			return
		}
		t.stopped = true
		delete(s.timers, t)
		f()
	})
	return t
}

// stop cancels the timer. The caller holds the lock; a nil timer is not set.
func (t *timer) stop() {
	if t == nil || t.stopped {
		return
	}
	t.stopped = true
	delete(t.srv.timers, t)
	if t.timer.Stop() {
		t.srv.running.Done()
	}
}
