package database

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/telemetry"
)

// Store stores events and returns when each of them is in the database: as a row, as a dead letter if it cannot become
// one, or not at all if it has nothing to store or repeats another. It waits for a store that is not available until
// ctx ends. After an error any of the messages may be missing; to store them again is harmless for those that have an
// ID or a StreamID.
//
// Messages without a Time get the current one.
func (e *Engine) Store(ctx context.Context, messages []bus.Message) error {
	b := batch{Engine: e, events: make([]store.Event, 0, len(messages)), messages: make([]*bus.Message, 0, len(messages))}
	for i := range messages {
		m := &messages[i]
		if m.Time.IsZero() {
			stamped := *m // the caller's message stays as it is
			stamped.Time = time.Now()
			m = &stamped
		}
		b.add(ctx, m)
	}
	if err := b.enforceLimits(ctx); err != nil {
		return err
	}
	if err := b.apply(ctx, 0, len(b.events)); err != nil {
		return err
	}
	return b.addDeadLetters(ctx)
}

// batch is what one call of Store writes: the events of one transaction, and the dead letters after it.
type batch struct {
	*Engine

	events      []store.Event
	messages    []*bus.Message // messages[i] is what events[i] was decoded from
	deadLetters []store.DeadLetter
}

// add decodes a message into an event of the batch, or a dead letter.
func (b *batch) add(ctx context.Context, m *bus.Message) {
	eventID := bus.EventID(m.ID, m.Suffix)
	if eventID == "" && b.dedup.repeated(m.Suffix, m.Data, m.Time) {
		b.metrics.count(m.Suffix, outcomeRepeated, m.Time)
		return
	}
	event, err := b.decode(m, eventID)
	if err != nil {
		b.refused(telemetry.ContextWith(ctx, m.Span), m.Suffix, len(m.Data), m.Time, err)
	}
	if errors.Is(err, errInvalid) && factDecoders[m.Suffix] != nil {
		b.deadLetter(ctx, m, err)
	}
	if event.Fact != nil {
		b.events = append(b.events, event)
		b.messages = append(b.messages, m)
	}
}

// decode decodes a message within the limits. The event is as that of decoder.event.
func (b *batch) decode(m *bus.Message, eventID string) (store.Event, error) {
	if err := b.limits.checkMessage(m.ID, m.Data); err != nil {
		return store.Event{}, firstError(b.notServed(m), err)
	}
	event, err := b.decoder.event(*m, eventID)
	if event.Fact == nil {
		return event, err
	}
	fact, tooLarge := b.limits.checkFact(event.Fact)
	event.Fact = fact
	return event, firstError(tooLarge, err)
}

// notServed returns an errNotServed if a message that exceeds a limit is for a channel that is not served. Otherwise it
// would become a dead letter, and retrying that changes rows of whatever channel it names.
func (b *batch) notServed(m *bus.Message) error {
	if len(m.Data) > store.MaxDeadLetterBytes {
		return nil // it cannot be retried, because only its beginning is kept
	}
	if _, err := b.decoder.event(*m, ""); errors.Is(err, errNotServed) {
		return err
	}
	return nil
}

// refused counts and logs a message that cannot be decoded, exceeds a limit, or is for another channel. Its content is
// not logged.
func (e *Engine) refused(ctx context.Context, suffix bus.Suffix, size int, arrived time.Time, err error) {
	if refusal, ok := errors.AsType[*limitError](err); ok {
		e.metrics.count(suffix, outcomeRefused, arrived)
		e.limits.refuse(ctx, suffix, refusal)
		return
	}
	if errors.Is(err, errNotServed) {
		e.metrics.count(suffix, outcomeRefused, arrived)
		if e.refusals.due(time.Now()) {
			e.log.WarnContext(ctx, "[DB] refused "+string(suffix)+"; others are only counted for a minute", "error", err)
		}
		return
	}
	if errors.Is(err, errIncomplete) {
		e.metrics.count(suffix, outcomeIgnored, arrived)
		e.log.DebugContext(ctx, "[DB] ignored "+string(suffix), "error", err)
		return
	}
	e.metrics.count(suffix, outcomeInvalid, arrived)
	if e.invalid.due(time.Now()) {
		e.log.ErrorContext(ctx, "[DB] cannot decode "+string(suffix)+"; others are only counted for a minute", "error", err,
			"bytes", size)
	}
}

// apply stores the events from first to before end in one transaction. If the store rejects one of them, it divides
// them in two until that one is alone and becomes a dead letter, so that the others are stored.
func (b *batch) apply(ctx context.Context, first, end int) error {
	events := b.events[first:end]
	if len(events) == 0 {
		return nil
	}
	err := b.retry(ctx, func() error {
		began := time.Now()
		defer func() { b.metrics.applied(len(events), time.Since(began)) }()
		return b.store.Apply(ctx, events)
	})
	switch {
	case err == nil:
		for _, m := range b.messages[first:end] {
			b.metrics.count(m.Suffix, outcomeStored, m.Time)
		}
		b.log.DebugContext(ctx, "[DB] stored", "events", len(events))
		return nil
	case !errors.Is(err, store.ErrRejected):
		return fmt.Errorf("storing %d events: %w", len(events), err)
	case len(events) == 1:
		m := b.messages[first]
		b.metrics.count(m.Suffix, outcomeRejected, m.Time)
		if b.rejected.due(time.Now()) {
			b.log.ErrorContext(telemetry.ContextWith(ctx, m.Span),
				"[DB] the database rejects an event, which becomes a dead letter; others are only counted for a minute",
				"subject", m.Suffix, "error", err)
		}
		b.deadLetter(ctx, m, err)
		return nil
	}
	middle := first + len(events)/2
	if err := b.apply(ctx, first, middle); err != nil {
		return err
	}
	return b.apply(ctx, middle, end)
}

// deadLetter adds a message to the dead letters of the batch. A message of a stream has an identity even without an ID,
// so that it is one dead letter however often the stream delivers it.
func (b *batch) deadLetter(ctx context.Context, m *bus.Message, reason error) {
	id := m.ID
	if id == "" && m.StreamID != "" {
		id = bus.MsgID(streamEventID(m.Time, m.StreamID), m.Suffix)
	}
	dead := store.NewDeadLetter(string(m.Suffix), id, reason.Error(), m.Data, m.Time)
	dead.Prefix = b.deadLetterPrefix()
	b.deadLetters = append(b.deadLetters, dead)
	traceDeadLetter(ctx, m, reason)
}

// deadLetterPrefix returns the prefix of dead letters. Where several services use one database, each has its own, so
// that none can displace those of another.
func (e *Engine) deadLetterPrefix() string {
	if e.channels.ownersIn(e.store) == nil {
		return ""
	}
	return e.channels.service.Prefix
}

func (b *batch) addDeadLetters(ctx context.Context) error {
	if len(b.deadLetters) == 0 {
		return nil
	}
	var removed int64
	quota := store.DeadLetterQuota{Rows: b.limits.DeadLetters, Bytes: b.limits.DeadLetterBytes}
	err := b.retry(ctx, func() (err error) {
		removed, err = b.store.AddDeadLetters(ctx, b.deadLetters, quota)
		return err
	})
	switch {
	case err == nil:
		b.metrics.deadLetters.Add(float64(len(b.deadLetters)))
		b.limits.countRemoved(ctx, removed)
	case errors.Is(err, store.ErrRejected):
		b.log.ErrorContext(ctx, "[DB] the database rejects dead letters", "count", len(b.deadLetters), "error", err)
	default:
		return fmt.Errorf("storing %d dead letters: %w", len(b.deadLetters), err)
	}
	return nil
}

// dedupWindowLength is how long after a message without an ID one with the same content counts as its second copy. The
// Python bot runs each of its handlers twice and so publishes each event twice at once (lib/bot.py of Rosey-Robot 0.5,
// lines 208 to 213).
const dedupWindowLength = 100 * time.Millisecond

// dedupWindow remembers the messages without IDs of the last 100 ms, by the times of the messages. It belongs
// to this process: if several services share the work, each may get one of two copies. It is not safe for concurrent
// use.
type dedupWindow struct {
	// seen are the messages whose second copy has not come.
	seen map[contentKey]time.Time
	// order are all messages of the window that were not repetitions, by time.
	order []contentTime
}

type contentTime struct {
	key contentKey
	at  time.Time
}

// contentKey is the hash of a message's subject and payload.
type contentKey [sha256.Size]byte

func newDedupWindow() *dedupWindow { return &dedupWindow{seen: map[contentKey]time.Time{}} }

// repeated reports whether a message is the second copy of one that came less than 100 ms before. A third one is new: a
// user may say the same several times at once, and the Python bot then publishes each of these lines twice.
func (w *dedupWindow) repeated(suffix bus.Suffix, data []byte, at time.Time) bool {
	w.forget(at)
	key := keyOf(suffix, data)
	if _, seen := w.seen[key]; seen {
		delete(w.seen, key)
		return true
	}
	w.seen[key] = at
	w.order = append(w.order, contentTime{key, at})
	// A user who joined, left and joined again within the window is in the channel: the second join is no repetition of
	// the first, because the leave came between them.
	if opposite, ok := opposites[suffix]; ok {
		delete(w.seen, keyOf(opposite, data))
	}
	return false
}

// opposites are the events that undo each other.
var opposites = map[bus.Suffix]bus.Suffix{bus.UserJoined: bus.UserLeft, bus.UserLeft: bus.UserJoined}

// forget removes the messages that are older than the window at now.
func (w *dedupWindow) forget(now time.Time) {
	for len(w.order) > 0 && now.Sub(w.order[0].at) >= dedupWindowLength {
		oldest := w.order[0]
		if w.seen[oldest.key].Equal(oldest.at) { // else it is of a later message with the same content
			delete(w.seen, oldest.key)
		}
		w.order = w.order[1:]
	}
}

func keyOf(suffix bus.Suffix, data []byte) (key contentKey) {
	hash := sha256.New()
	_, _ = hash.Write([]byte(suffix)) // a hash never fails
	_, _ = hash.Write([]byte{0})
	_, _ = hash.Write(data)
	hash.Sum(key[:0])
	return key
}
