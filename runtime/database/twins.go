package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// lookBack is how much of the stream before a message decides whether it is a repetition: repetitions are counted
	// from their first copy, which may itself be near the one before.
	lookBack = 2 * repeatWindow
	// maxLookBack bounds what is read again for one message.
	maxLookBack = 64
)

// twins knows whether a message without an id repeats one that came a moment before it in the stream. Services that
// share the stream get now one copy and now the other, so what others got is read again from the stream.
type twins struct {
	subjects bus.Subjects
	stream   jetstream.Stream
	repeats  *repeats
	next     uint64 // the sequence behind the last that repeats knows of
}

// passed notes a message that has an id.
func (t *twins) passed(sequence uint64) {
	if sequence == t.next {
		t.next++
	}
}

func (t *twins) repeated(
	ctx context.Context, sequence uint64, suffix bus.Suffix, data []byte, at time.Time,
) (bool, error) {
	if sequence == t.next {
		t.next++
		return t.repeats.repeated(suffix, data, at), nil
	}
	known := newRepeats()
	before, err := t.before(ctx, sequence, at)
	if err != nil {
		return false, err
	}
	for _, m := range before {
		if earlier, ours := t.subjects.Suffix(m.Subject); ours && bus.EventID(m.Header.Get(bus.MsgIDHeader), earlier) == "" {
			known.repeated(earlier, m.Data, m.Time)
		}
	}
	repeated := known.repeated(suffix, data, at)
	if sequence > t.next { // and not one that came again
		t.repeats, t.next = known, sequence+1
	}
	return repeated, nil
}

// before reads the messages of the moments before one, oldest first.
func (t *twins) before(
	ctx context.Context, sequence uint64, at time.Time,
) (found []*jetstream.RawStreamMsg, err error) {
	for len(found) < maxLookBack && sequence > 1 {
		sequence--
		m, err := t.stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading message %d of the stream: %w", sequence, err)
		}
		if at.Sub(m.Time) >= lookBack {
			break
		}
		found = append(found, m)
	}
	slices.Reverse(found)
	return found, nil
}
