package database

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

func (w *worker) outbound(ctx context.Context, m arrival) (any, error) {
	request := struct {
		Limit      number `json:"limit"`
		MaxRetries number `json:"max_retries"`
		Claimant   string `json:"claimant"`
		origin
	}{Limit: defaultLimit, MaxRetries: defaultMaxRetries}
	if err := decodeInto(m.Data, &request); err != nil {
		return noRows, err
	}
	// The Python service takes a limit below zero for none at all. Nobody asks so on purpose, and a
	// reply with everything does not fit into a message; it is answered like 0.
	if request.Limit <= 0 || request.MaxRetries <= 0 {
		return noRows, nil
	}
	rows, err := w.store.Outbound(ctx, w.decoder.channel(request.origin), store.OutboundQuery{
		Limit: int(min(request.Limit, maxRows)), MaxRetries: int(min(request.MaxRetries, maxRows)),
		Claimant: request.Claimant, Now: time.Now(),
	})
	if err != nil {
		return noRows, err
	}
	messages := make([]bus.OutboundMessage, 0, len(rows))
	for _, row := range rows {
		message := bus.OutboundMessage{
			ID: row.ID, Timestamp: row.EnqueuedAt.Unix(), Message: row.Text, RetryCount: row.RetryCount,
			ClaimedSince: bus.Seconds{Time: row.ClaimedSince},
		}
		if row.LastError != "" {
			message.LastError, message.ErrorMessage = &row.LastError, &row.LastError
		}
		if request.Claimant != "" {
			message.LeaseSeconds = int(store.OutboundLease.Seconds())
		}
		messages = append(messages, message)
	}
	return fitting(messages, w.room()), nil
}

// put tries once: its client tries again, with the same client id.
func (w *worker) put(ctx context.Context, m arrival) (any, error) {
	request, err := decodeObject[struct {
		Message  string `json:"message"`
		ClientID string `json:"client_id"`
		origin
	}](m.Data)
	switch {
	case err != nil:
	case strings.TrimSpace(request.Message) == "":
		err = fmt.Errorf("%w: message: expected a text that is not blank", errInvalid)
	case len(request.Message) > bus.MaxOutboundBytes:
		err = fmt.Errorf("%w: message: %d bytes, expected at most %d", errInvalid, len(request.Message), bus.MaxOutboundBytes)
	}
	if err != nil {
		return bus.OutboundPutReply{Error: err.Error()}, err
	}
	id, err := w.store.Enqueue(ctx, w.decoder.channel(request.origin), store.OutboundLine{
		Text: request.Message, ClientID: request.ClientID, At: m.at,
	})
	if err != nil {
		return bus.OutboundPutReply{Error: "the database does not work"}, err
	}
	return bus.OutboundPutReply{Success: true, ID: id}, nil
}

// markSent waits for a store that is away: a message that was sent and not marked is sent again.
func (w *worker) markSent(ctx context.Context, m arrival) (any, error) {
	request, err := decodeObject[struct {
		MessageID *number `json:"message_id"`
		origin
	}](m.Data)
	if err != nil || request.MessageID == nil {
		return withoutID(err)
	}
	at := w.decoder.time(request.origin, m.at)
	return w.mark(ctx, func() error { return w.store.MarkSent(ctx, int64(*request.MessageID), at) })
}

// markFailed waits as markSent does.
func (w *worker) markFailed(ctx context.Context, m arrival) (any, error) {
	request, err := decodeObject[struct {
		MessageID  *number  `json:"message_id"`
		Error      text     `json:"error"`
		Permanent  bus.Flag `json:"permanent"`
		RetryCount *number  `json:"retry_count"`
		Claimant   string   `json:"claimant"`
		origin
	}](m.Data)
	if err != nil || request.MessageID == nil {
		return withoutID(err)
	}
	failure := store.OutboundFailure{
		ID: int64(*request.MessageID), Error: string(request.Error), Permanent: bool(request.Permanent),
		Claimant: request.Claimant, At: w.decoder.time(request.origin, m.at),
	}
	if request.RetryCount != nil {
		failure.RetryCount = new(int(*request.RetryCount))
	}
	return w.mark(ctx, func() error { return w.store.MarkFailed(ctx, failure) })
}

func withoutID(err error) (any, error) {
	if err == nil {
		err = fmt.Errorf("%w: no message_id", errIncomplete)
	}
	return bus.Ack{Error: "message_id: expected a whole number"}, err
}

func (w *worker) mark(ctx context.Context, mark func() error) (any, error) {
	if err := w.retry(ctx, mark); err != nil {
		return nil, fmt.Errorf("what became of an outbound message: %w: %w", errLost, err)
	}
	return bus.Ack{Success: true}, nil
}
