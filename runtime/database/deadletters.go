package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// maxDeadFailure bounds the error of a dead letter in a reply.
const maxDeadFailure = 300

// maxDeadScan is how many dead letters are read for one request, where only those of one channel are wanted.
const maxDeadScan = 5 * bus.MaxDeadListLimit

// deadList answers bus.DeadList with dead letters of the service's own prefix.
func (e *Engine) deadList(ctx context.Context, r Request) (any, error) {
	var request struct {
		bus.DeadListRequest
		origin
	}
	err := decodeInto(r.Data, &request)
	if err == nil && (request.Limit < 0 || request.Limit > bus.MaxDeadListLimit) {
		err = fmt.Errorf("%w: limit: expected a number from 1 to %d", errInvalid, bus.MaxDeadListLimit)
	}
	isWanted, channelErr := e.deadLettersOf(request.origin)
	if err = firstError(err, channelErr); err != nil {
		return bus.DeadListReply{Error: err.Error()}, err
	}
	reply := bus.DeadListReply{Success: true, Next: request.After}
	stored, err := e.readDeadLetters(ctx, &reply, cmp.Or(request.Limit, bus.MaxDeadListLimit), isWanted)
	if err == nil {
		reply.DeadLetters, err = fittingDeadLetters(stored, r.MaxReply-deadListOverhead)
	}
	if err != nil {
		return bus.DeadListReply{Error: errUnavailable, Retry: true}, fmt.Errorf("listing dead letters: %w", err)
	}
	if sent := len(reply.DeadLetters); sent < len(stored) {
		reply.More, reply.Next = true, reply.DeadLetters[sent-1].ID
	}
	return reply, nil
}

// readDeadLetters returns the dead letters behind reply.Next that are wanted, up to a limit, and sets reply.Next to the
// last one that it has read and reply.More.
func (e *Engine) readDeadLetters(
	ctx context.Context, reply *bus.DeadListReply, limit int, isWanted func(store.DeadLetter) bool,
) (found []store.DeadLetter, err error) {
	reply.More = true
	for scanned := 0; reply.More && len(found) < limit && scanned < maxDeadScan; {
		wanted := limit - len(found)
		page, err := e.store.DeadLetters(ctx, e.channels.service.Prefix, reply.Next, wanted)
		if err != nil {
			return nil, err
		}
		reply.More = len(page) == wanted
		scanned += wanted
		for _, deadLetter := range page {
			reply.Next = deadLetter.ID
			if isWanted(deadLetter) {
				found = append(found, deadLetter)
			}
		}
	}
	return found, nil
}

// deadLettersOf returns a function that reports whether a dead letter is of the channel of a request, or true for all
// if that names none. A message that names no channel, or cannot be read, is of the service's own, as it would be if it
// could be stored.
func (e *Engine) deadLettersOf(requested origin) (isWanted func(store.DeadLetter) bool, err error) {
	if requested.Channel == "" {
		return func(store.DeadLetter) bool { return true }, nil
	}
	channel, err := e.decoder.channel(requested)
	if err != nil {
		return nil, err
	}
	wanted := foldedChannel(channel)
	return func(deadLetter store.DeadLetter) bool {
		named, err := decodeObject[origin](deadLetter.Payload)
		if err != nil {
			named = origin{}
		}
		// One that is not served any more is nobody's.
		channel, err := e.decoder.channel(named)
		return err == nil && foldedChannel(channel) == wanted
	}, nil
}

// fittingDeadLetters returns the first dead letters that fit into limit bytes as JSON, but at least one, if need be
// with the beginning of its payload alone: a client goes on behind the last one.
func fittingDeadLetters(stored []store.DeadLetter, limit int) (rows []bus.DeadLetter, err error) {
	rows = make([]bus.DeadLetter, 0, len(stored))
	for i, deadLetter := range stored {
		row := clientDeadLetter(deadLetter)
		data, err := bus.Encode(row)
		if err != nil {
			return nil, fmt.Errorf("encoding dead letter %d: %w", deadLetter.ID, err)
		}
		if limit -= len(data) + 1; limit < 0 {
			if i == 0 {
				const most = 6 // bytes of JSON for a byte
				row.Payload = store.CleanText(row.Payload[:max(len(row.Payload)+limit/most, 0)])
				rows = append(rows, row)
			}
			break
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// deadListOverhead is what a bus.DeadListReply has beside its dead letters, in bytes and with room.
const deadListOverhead = 100

// clientDeadLetter returns a dead letter of a store as clients get it.
func clientDeadLetter(stored store.DeadLetter) bus.DeadLetter {
	return bus.DeadLetter{
		ID: stored.ID, Time: stored.At.UnixMilli(), Prefix: stored.Prefix, Subject: stored.Subject,
		Reason: stored.Reason, Size: stored.Size, Payload: store.CleanText(string(stored.Payload)),
	}
}

// deadRetry answers bus.DeadRetry.
func (e *Engine) deadRetry(ctx context.Context, r Request) (any, error) {
	return e.deadChange(ctx, r, func(deadLetter store.DeadLetter) error { return e.retryDeadLetter(ctx, deadLetter) })
}

// deadDrop answers bus.DeadDrop.
func (e *Engine) deadDrop(ctx context.Context, r Request) (any, error) {
	return e.deadChange(ctx, r, func(deadLetter store.DeadLetter) error {
		_, err := e.store.DropDeadLetter(ctx, deadLetter.ID)
		return err
	})
}

// deadChange changes the dead letters of a bus.DeadChangeRequest, and goes on after one that fails.
func (e *Engine) deadChange(ctx context.Context, r Request, change func(store.DeadLetter) error) (any, error) {
	var request struct {
		bus.DeadChangeRequest
		origin
	}
	err := decodeInto(r.Data, &request)
	if err == nil && (len(request.IDs) == 0 || len(request.IDs) > bus.MaxDeadChangeIDs) {
		err = fmt.Errorf("%w: ids: expected 1 to %d, got %d", errInvalid, bus.MaxDeadChangeIDs, len(request.IDs))
	}
	isWanted, channelErr := e.deadLettersOf(request.origin)
	if err = firstError(err, channelErr); err != nil {
		return bus.DeadChangeReply{Error: err.Error()}, err
	}
	reply := bus.DeadChangeReply{Changed: []int64{}}
	for _, id := range request.IDs {
		deadLetter, err := e.deadLetter(ctx, id)
		switch {
		case err != nil:
		case isWanted(deadLetter):
			err = change(deadLetter)
		default:
			err = fmt.Errorf("dead letter %d: %w; it is one of another channel", id, errNotFound)
		}
		switch {
		case err == nil:
			reply.Changed = append(reply.Changed, id)
		case errors.Is(err, store.ErrRejected), errors.Is(err, errInvalid), errors.Is(err, errNotServed),
			errors.Is(err, errNotFound):
			reply.Failed = append(reply.Failed, bus.DeadFailure{
				ID: id, Error: status.OneLine(err.Error(), maxDeadFailure)})
		default:
			reply.Error, reply.Retry = errUnavailable, true
			return reply, fmt.Errorf("changing dead letter %d: %w", id, err)
		}
	}
	reply.Success = len(reply.Failed) == 0
	return reply, nil
}

var errNotFound = errors.New("not found")

// deadLetter returns a dead letter of the service's own prefix.
func (e *Engine) deadLetter(ctx context.Context, id int64) (store.DeadLetter, error) {
	stored, err := e.store.DeadLetters(ctx, e.channels.service.Prefix, id-1, 1)
	if err != nil {
		return store.DeadLetter{}, err
	}
	if len(stored) == 0 || stored[0].ID != id {
		return store.DeadLetter{}, fmt.Errorf("dead letter %d: %w; it may be one of another subject prefix", id, errNotFound)
	}
	return stored[0], nil
}

// retryDeadLetter stores the event of a dead letter, for example with a later version of the program, and removes the
// dead letter if that succeeds. An error means that the dead letter is still there.
func (e *Engine) retryDeadLetter(ctx context.Context, deadLetter store.DeadLetter) error {
	if deadLetter.Size > len(deadLetter.Payload) {
		return fmt.Errorf("retrying dead letter %d: %w: only %d of its %d bytes were kept",
			deadLetter.ID, errInvalid, len(deadLetter.Payload), deadLetter.Size)
	}
	m := bus.Message{
		Suffix: bus.Suffix(deadLetter.Subject), ID: deadLetter.MsgID, Data: deadLetter.Payload, Time: deadLetter.At,
	}
	eventID := bus.EventID(deadLetter.MsgID, m.Suffix)
	if eventID == "" {
		// The same ID at each attempt, in case the event is stored and the dead letter cannot be removed.
		eventID = fmt.Sprintf("%012x-dead-letter-%d", deadLetter.At.UnixMilli(), deadLetter.ID)
	}
	event, err := e.decoder.event(m, eventID)
	if errors.Is(err, errIncomplete) {
		err = nil // it contains nothing to store
	}
	if event.Fact != nil && err == nil {
		err = e.store.Apply(ctx, []store.Event{event})
	}
	if err != nil {
		return fmt.Errorf("retrying dead letter %d of %s: %w", deadLetter.ID, deadLetter.Subject, err)
	}
	if _, err := e.store.DropDeadLetter(ctx, deadLetter.ID); err != nil {
		return fmt.Errorf("removing dead letter %d, which is stored: %w", deadLetter.ID, err)
	}
	return nil
}
