package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// RetryDeadLetter tries to make rows of a dead letter once more, for example with a later version of
// the program, and drops the letter if it succeeds. own is what a message belongs to that names no
// channel. It works on a store that no service has open. The error says why the letter stays.
func RetryDeadLetter(ctx context.Context, s store.Store, own store.Channel, letter store.DeadLetter) error {
	if letter.Size > len(letter.Payload) {
		return fmt.Errorf("retrying dead letter %d: only %d of its %d bytes were kept",
			letter.ID, len(letter.Payload), letter.Size)
	}
	message := arrival{Msg: &nats.Msg{Data: letter.Payload, Header: nats.Header{}}, at: letter.At}
	suffix := bus.Suffix(letter.Subject)
	message.Header.Set(bus.MsgIDHeader, letter.MsgID)
	if message.eventID(suffix) == "" {
		// The same each time, should the letter be stored and then not dropped.
		id := fmt.Sprintf("%012x-letter-%d", letter.At.UnixMilli(), letter.ID)
		message.Header.Set(bus.MsgIDHeader, bus.MsgID(id, suffix))
	}
	event, err := decoder{own: own}.event(suffix, message)
	if errors.Is(err, errIncomplete) {
		err = nil // nothing in it that belongs into the database
	}
	if event.Fact != nil && err == nil {
		err = s.Apply(ctx, []store.Event{event})
	}
	if err != nil {
		return fmt.Errorf("retrying dead letter %d of %s: %w", letter.ID, letter.Subject, err)
	}
	if _, err := s.DropDeadLetter(ctx, letter.ID); err != nil {
		return fmt.Errorf("dead letter %d is stored and cannot be dropped: %w", letter.ID, err)
	}
	return nil
}
