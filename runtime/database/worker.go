package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
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

	store store.Store
}

// decoded is an event and the subject it came on.
type decoded struct {
	suffix bus.Suffix
	event  store.Event
}

// run works until the inbox has ended. It fails when ctx ends before.
func (w *worker) run(ctx context.Context) error {
	for {
		batch := w.inbox.next(maxBatch)
		if len(batch) == 0 {
			return nil
		}
		if err := w.handle(ctx, batch); err != nil {
			return fmt.Errorf("up to %d messages that had arrived are lost: %w", len(batch)+w.inbox.len(), err)
		}
	}
}

// handle stores the events of a batch in as few transactions as the questions between them allow.
func (w *worker) handle(ctx context.Context, batch []arrival) error {
	var events []decoded
	for _, m := range batch {
		suffix, _ := w.subjects.Suffix(m.Subject) // of no other prefix are we subscribed
		switch suffix {
		case bus.OutboundGet, bus.StatsRecentChat, bus.OutboundSent:
			if err := w.apply(ctx, events); err != nil {
				return err
			}
			events = events[:0]
			if err := w.answer(ctx, suffix, m); err != nil {
				return err
			}
		default:
			if event, ok := w.decode(suffix, m); ok {
				events = append(events, decoded{suffix, event})
			}
		}
	}
	return w.apply(ctx, events)
}

func (w *worker) decode(suffix bus.Suffix, m arrival) (store.Event, bool) {
	event, err := w.decoder.event(suffix, m)
	if err != nil {
		w.refuse(suffix, m, err)
	}
	return event, err == nil
}

// refuse logs and counts a message that says nothing that can be stored or answered.
func (w *worker) refuse(suffix bus.Suffix, m arrival, err error) {
	if errors.Is(err, errIncomplete) {
		w.metrics.count(suffix, outcomeIgnored)
		w.log.Debug("[NATS] ignored "+string(suffix), "error", err)
		return
	}
	w.metrics.count(suffix, outcomeInvalid)
	w.log.Error("[NATS] cannot read "+string(suffix), "error", err, "bytes", len(m.Data))
}

// apply stores events, however long the store is away. Events that the store rejects are found by
// halving, so that one of them does not take the others with it.
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
			w.metrics.count(one.suffix, outcomeStored)
		}
		w.log.Debug("[DB] stored", "events", len(events))
		return nil
	case !errors.Is(err, store.ErrRejected):
		return err
	case len(events) == 1:
		w.metrics.count(events[0].suffix, outcomeRejected)
		w.log.Error("[DB] rejected, the event is lost", "subject", events[0].suffix, "error", err)
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
	if s.storeCheck.Set(true, config.ReasonStoreOpen, "the database is open") {
		s.log.Info("[DB] the database is open")
	}
}

func (s *Service) storeFails(err error) {
	message := "the database does not work: " + err.Error() + "; trying again"
	if s.storeCheck.Set(false, config.ReasonStoreUnavailable, message) {
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
