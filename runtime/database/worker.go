package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxBatch bounds how much one transaction stores.
	maxBatch = 500

	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 5 * time.Second
)

// worker works on the inbox with an open store.
type worker struct {
	*Service

	store       store.Store
	maintenance *maintenance
	repeats     *repeats

	events  []decoded          // to be stored
	letters []store.DeadLetter // to be kept
	taken   []*kept            // to be acknowledged when both are
}

// decoded is an event and the message that told it.
type decoded struct {
	suffix  bus.Suffix
	message arrival
	event   store.Event
}

// run works until the inbox has ended. It fails when ctx ends before.
func (w *worker) run(ctx context.Context) error {
	for {
		batch := w.inbox.next(maxBatch)
		if len(batch) == 0 {
			return nil
		}
		if err := w.handle(ctx, batch); err != nil {
			lost := count(batch) + w.inbox.lost()
			if lost == 0 {
				return nil // the stream has them all
			}
			return fmt.Errorf("up to %d messages that had arrived are lost: %w", lost, err)
		}
	}
}

// handle stores the events of a batch in as few transactions as the questions between them allow.
func (w *worker) handle(ctx context.Context, batch []arrival) error {
	for _, m := range batch {
		suffix, _ := w.subjects.Suffix(m.Subject) // of no other prefix are we subscribed
		question, asked := questions[suffix]
		if !asked {
			w.take(suffix, m)
			continue
		}
		// A reply also says that what came before it is stored.
		if err := w.flush(ctx); err != nil {
			return err
		}
		if err := w.answer(ctx, suffix, m, question); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// take decodes a message into the events to be stored.
func (w *worker) take(suffix bus.Suffix, m arrival) {
	if m.kept != nil {
		w.taken = append(w.taken, m.kept)
	}
	if m.eventID(suffix) == "" && w.repeated(suffix, m) {
		w.metrics.count(suffix, outcomeRepeated, m.at)
		return
	}
	event, err := w.decoder.event(suffix, m)
	if err != nil {
		w.refuse(suffix, m, err)
	}
	if event.Fact != nil {
		w.events = append(w.events, decoded{suffix, m, event})
	}
}

func (w *worker) repeated(suffix bus.Suffix, m arrival) bool {
	if m.kept != nil {
		return m.kept.repeats
	}
	return w.repeats.repeated(suffix, m.Data, m.at)
}

// refuse logs and counts a message that says something that cannot be stored or answered. It keeps what
// was published: whoever asked is told and can ask again.
func (w *worker) refuse(suffix bus.Suffix, m arrival, err error) {
	if errors.Is(err, errIncomplete) {
		w.metrics.count(suffix, outcomeIgnored, m.at)
		w.log.Debug(w.way()+"ignored "+string(suffix), "error", err)
		return
	}
	w.metrics.count(suffix, outcomeInvalid, m.at)
	w.log.Error(w.way()+"cannot read "+string(suffix), "error", err, "bytes", len(m.Data))
	if m.Reply == "" && (slices.Contains(bus.Events, suffix) || slices.Contains(reports, suffix)) {
		w.bury(suffix, m, err)
	}
}

func (w *worker) bury(suffix bus.Suffix, m arrival, reason error) {
	id := m.Header.Get(bus.MsgIDHeader)
	if id == "" && m.kept != nil {
		id = bus.MsgID(m.keptID(m.at), suffix) // it may come again
	}
	w.letters = append(w.letters, store.NewDeadLetter(string(suffix), id, reason.Error(), m.Data, m.at))
}

// flush stores what was taken, however long the store is away, and acknowledges it then.
func (w *worker) flush(ctx context.Context) error {
	err := w.apply(ctx, w.events)
	w.events = w.events[:0]
	if err == nil {
		err = w.keepLetters(ctx)
	}
	if err == nil {
		w.held.stored(w.taken)
	}
	w.taken = w.taken[:0]
	return err
}

func (w *worker) keepLetters(ctx context.Context) error {
	if len(w.letters) == 0 {
		return nil
	}
	err := w.retry(ctx, func() error { return w.store.AddDeadLetters(ctx, w.letters) })
	switch {
	case err == nil:
		w.metrics.deadLetters.Add(float64(len(w.letters)))
	case errors.Is(err, store.ErrRejected):
		w.log.Error("[DB] dead letters cannot be kept", "count", len(w.letters), "error", err)
	default:
		return fmt.Errorf("keeping dead letters: %w", err)
	}
	w.letters = nil
	return nil
}

// apply stores events. Those that the store rejects are found by halving, so that one of them does not
// take the others with it.
func (w *worker) apply(ctx context.Context, events []decoded) error {
	if len(events) == 0 {
		return nil
	}
	batch := make([]store.Event, 0, len(events))
	for _, one := range events {
		batch = append(batch, one.event)
	}
	err := w.retry(ctx, func() error {
		began := time.Now()
		defer func() { w.metrics.applied(len(batch), time.Since(began)) }()
		return w.store.Apply(ctx, batch)
	})
	switch {
	case err == nil:
		for _, one := range events {
			w.metrics.count(one.suffix, outcomeStored, one.message.at)
		}
		w.log.Debug("[DB] stored", "events", len(events))
		return nil
	case !errors.Is(err, store.ErrRejected):
		return err
	case len(events) == 1:
		w.metrics.count(events[0].suffix, outcomeRejected, events[0].message.at)
		w.log.Error("[DB] rejected, kept as a dead letter", "subject", events[0].suffix, "error", err)
		w.bury(events[0].suffix, events[0].message, err)
		return nil
	}
	half := len(events) / 2
	if err := w.apply(ctx, events[:half]); err != nil {
		return err
	}
	return w.apply(ctx, events[half:])
}

// retry does something with the store until it succeeds, is rejected, or ctx ends.
func (s *Service) retry(ctx context.Context, attempt func() error) error {
	for wait := minRetryWait; ; wait = min(2*wait, maxRetryWait) {
		err := attempt()
		if err == nil || errors.Is(err, store.ErrRejected) {
			s.storeWorks()
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		s.storeFails(err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

func (s *Service) storeWorks() {
	if s.storeCheck.Set(true, status.ReasonStoreOpen, "the database is open") {
		s.log.Info("[DB] the database is open")
	}
}

func (s *Service) storeFails(err error) {
	message := "the database does not work: " + err.Error() + "; trying again"
	if s.storeCheck.Set(false, storeReason(err), message) {
		s.log.Error("[DB] " + message)
	}
}

// openStore tries until the store is open. It answers nil when ctx ended before.
func (s *Service) openStore(ctx context.Context) store.Store {
	var opened store.Store
	err := s.retry(ctx, func() (err error) {
		opened, err = s.open(ctx)
		return err
	})
	if err != nil {
		return nil
	}
	return opened
}
