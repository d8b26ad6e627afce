package main

import (
	"context"
	"time"
)

// logLine is one line of the log of a container.
type logLine struct {
	source int
	at     time.Time
	text   string
}

// quietAfter is how long a merge waits for a line of a source. One without a line for so long is quiet: it is not
// waited for until it has written again.
const quietAfter = 300 * time.Millisecond

// merger puts the lines of several sources in the order of their times. The lines of one source are in order already.
//
// All sources that are read at first have to begin before any of them sends a line. The merger knows one line of
// each source at most, so it needs little memory whatever the sources write. While all of them have ended or have a
// line, the earliest line is the next. With follow, sources that are silent are not waited for.
type merger struct {
	follow bool
	emit   func(logLine) error

	heads map[int]logLine
	// awaited are the sources that are read and whose next line is not known. quiet ones are not waited for.
	awaited, quiet map[int]bool
	// next tells a source to send its next line.
	next map[int]chan struct{}
}

// arrival is what a source sends to the merger: that it begins, a line, or that it has ended.
type arrival struct {
	line  logLine
	begin chan struct{} // the channel by which the merger asks for the next line
	ended bool
}

func newMerger(follow bool, emit func(logLine) error) *merger {
	return &merger{
		follow: follow, emit: emit, heads: map[int]logLine{}, awaited: map[int]bool{}, quiet: map[int]bool{},
		next: map[int]chan struct{}{},
	}
}

// run merges what arrives until the channel is closed and all is written, or ctx ends.
func (m *merger) run(ctx context.Context, arrivals <-chan arrival) error {
	for arrivals != nil || len(m.heads) > 0 {
		if len(m.heads) > 0 && len(m.awaited) == len(m.quiet) {
			if m.receiveWaiting(&arrivals) {
				continue
			}
			if err := m.emitFirst(); err != nil {
				return err
			}
			continue
		}
		if err := m.wait(ctx, &arrivals); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for the next arrival, or until the sources that are waited for are quiet.
func (m *merger) wait(ctx context.Context, arrivals *<-chan arrival) error {
	var silent <-chan time.Time
	if len(m.heads) > 0 && m.follow {
		silent = time.After(quietAfter)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case next, open := <-*arrivals:
		m.receive(next, open, arrivals)
	case <-silent:
		for source := range m.awaited {
			m.quiet[source] = true
		}
	}
	return nil
}

// receiveWaiting receives what has arrived already, and reports whether there was something: it may be earlier than
// what is known.
func (m *merger) receiveWaiting(arrivals *<-chan arrival) bool {
	select {
	case next, open := <-*arrivals:
		m.receive(next, open, arrivals)
		return true
	default:
		return false
	}
}

func (m *merger) receive(next arrival, open bool, arrivals *<-chan arrival) {
	source := next.line.source
	switch {
	case !open:
		*arrivals = nil
	case next.begin != nil:
		m.next[source], m.awaited[source] = next.begin, true
	case next.ended:
		delete(m.next, source)
		delete(m.awaited, source)
		delete(m.quiet, source)
	default:
		m.heads[source] = next.line
		delete(m.awaited, source)
		delete(m.quiet, source)
	}
}

// emitFirst writes the earliest line, and asks its source for the next.
func (m *merger) emitFirst() error {
	first := -1
	for source, line := range m.heads {
		if first < 0 || line.at.Before(m.heads[first].at) || line.at.Equal(m.heads[first].at) && source < first {
			first = source
		}
	}
	line := m.heads[first]
	delete(m.heads, first)
	if next := m.next[first]; next != nil { // otherwise it has ended since
		m.awaited[first] = true
		next <- struct{}{} // it has a place for this one
	}
	return m.emit(line)
}
