package bot

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"rosey.dev/rosey/runtime/cytube"
)

var errUnconfirmed = errors.New("the server did not confirm it in time")

// expectation waits for the event by which the server shows that something was done, or refused.
type expectation struct {
	// match is nil for an event that says nothing about it; otherwise it says what became of it.
	match   func(cytube.Event) *outcome
	armed   atomic.Bool
	over    atomic.Bool
	arrived chan outcome
}

// outcome is how something went: err is what the server said against it.
type outcome struct{ err error }

func done() *outcome { return &outcome{} }

func failed(words string) *outcome { return &outcome{err: errors.New(cytube.PlainText(words))} }

// expect is to be called on the session's goroutine.
func (s *session) expect(match func(cytube.Event) *outcome) *expectation {
	e := &expectation{match: match, arrived: make(chan outcome, 1)}
	s.expected = append(s.expected, e)
	return e
}

// confirm shows an event to all who wait for one.
func (s *session) confirm(event cytube.Event) {
	s.expected = slices.DeleteFunc(s.expected, func(e *expectation) bool {
		if e.over.Load() {
			return true
		}
		if !e.armed.Load() {
			return false
		}
		got := e.match(event)
		if got == nil {
			return false
		}
		e.arrived <- *got
		return true
	})
}

// after does something and waits for its confirmation.
func (s *session) after(ctx context.Context, e *expectation, do func(context.Context) error) error {
	e.armed.Store(true)
	defer e.over.Store(true)
	if err := do(ctx); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, s.timings.Confirm)
	defer cancel()
	select {
	case got := <-e.arrived:
		return got.err
	case <-waiting.Done():
		if ctx.Err() != nil {
			return errLeft
		}
		return errUnconfirmed
	}
}
