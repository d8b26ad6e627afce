package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// Defaults of requests that do not say.
const (
	defaultLimit      = 50
	defaultMaxRetries = 3
)

// number is a whole number in a request. The Python service also takes it as text.
type number int64

// UnmarshalJSON implements json.Unmarshaler. Null is an error, and not the default.
func (n *number) UnmarshalJSON(data []byte) error {
	text := string(data)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("decoding text: %w", err)
		}
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("expected a whole number: %w", err)
	}
	*n = number(value)
	return nil
}

// answer answers a request. It fails only when ctx ended before it could store what the request says.
func (w *worker) answer(ctx context.Context, suffix bus.Suffix, m arrival) error {
	if suffix == bus.OutboundSent {
		return w.markSent(ctx, m)
	}
	var rows any
	var err error
	if suffix == bus.OutboundGet {
		rows, err = w.outbound(ctx, m)
	} else {
		rows, err = w.recentChat(ctx, m)
	}
	switch {
	case err == nil:
		w.metrics.count(suffix, outcomeAnswered)
	case errors.Is(err, errInvalid):
		w.refuse(suffix, m, err)
	default:
		w.metrics.count(suffix, outcomeFailed)
		w.log.Error("[DB] cannot answer "+string(suffix), "error", err)
	}
	if err != nil {
		rows = []struct{}{} // an error is no rows to clients of the Python service
	}
	w.reply(suffix, m, rows)
	return nil
}

func (w *worker) outbound(ctx context.Context, m arrival) ([]bus.OutboundMessage, error) {
	request := struct {
		Limit      number `json:"limit"`
		MaxRetries number `json:"max_retries"`
		bus.Origin
	}{Limit: defaultLimit, MaxRetries: defaultMaxRetries}
	if err := decodeInto(m.Data, &request); err != nil {
		return nil, err
	}
	messages := []bus.OutboundMessage{}
	// The Python service takes a limit below zero for none at all. Nobody asks so on purpose, and a
	// reply with everything does not fit into a message; it is answered like 0.
	if request.Limit <= 0 || request.MaxRetries <= 0 {
		return messages, nil
	}
	rows, err := w.store.Outbound(
		ctx, w.decoder.channel(request.Origin), int(request.Limit), int(request.MaxRetries), time.Now())
	if err != nil {
		return nil, fmt.Errorf("reading outbound messages: %w", err)
	}
	for _, row := range rows {
		message := bus.OutboundMessage{
			ID: row.ID, Timestamp: row.EnqueuedAt.Unix(), Message: row.Text, RetryCount: row.RetryCount,
		}
		if row.LastError != "" {
			message.LastError, message.ErrorMessage = &row.LastError, &row.LastError
		}
		messages = append(messages, message)
	}
	return messages, nil
}

func (w *worker) recentChat(ctx context.Context, m arrival) ([]bus.RecentLine, error) {
	request := struct {
		Limit number `json:"limit"`
		bus.Origin
	}{Limit: defaultLimit}
	if err := decodeInto(m.Data, &request); err != nil {
		return nil, err
	}
	lines := []bus.RecentLine{}
	if request.Limit <= 0 { // as in outbound
		return lines, nil
	}
	rows, err := w.store.RecentChat(ctx, w.decoder.channel(request.Origin), int(request.Limit))
	if err != nil {
		return nil, fmt.Errorf("reading recent chat: %w", err)
	}
	for _, row := range rows {
		lines = append(lines, bus.RecentLine{Timestamp: row.At.Unix(), Username: row.Username, Message: row.Text})
	}
	return lines, nil
}

// sentReply answers OutboundSent where an answer is asked for.
type sentReply struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
}

// markSent waits for a store that is away: a message that was sent and not marked is sent again.
func (w *worker) markSent(ctx context.Context, m arrival) error {
	id, err := decodeSent(m.Data)
	if err != nil {
		w.refuse(bus.OutboundSent, m, err)
		w.reply(bus.OutboundSent, m, sentReply{Error: "message_id: expected a whole number"})
		return nil
	}
	err = w.retry(ctx, func() error { return w.store.MarkSent(ctx, id, m.at) })
	if err != nil {
		return fmt.Errorf("storing that an outbound message was sent: %w", err)
	}
	w.metrics.count(bus.OutboundSent, outcomeStored)
	w.log.Debug("[DB] outbound message sent", "id", id)
	w.reply(bus.OutboundSent, m, sentReply{Success: true})
	return nil
}

func decodeSent(data []byte) (id int64, err error) {
	payload, err := decodeObject[struct {
		MessageID *number `json:"message_id"`
	}](data)
	if err != nil {
		return 0, err
	}
	if payload.MessageID == nil {
		return 0, fmt.Errorf("%w: no message_id", errIncomplete)
	}
	return int64(*payload.MessageID), nil
}

// reply does nothing when no reply is asked for.
func (w *worker) reply(suffix bus.Suffix, m arrival, body any) {
	if m.Reply == "" {
		return
	}
	data, err := bus.Encode(body)
	if err == nil {
		err = m.RespondMsg(&nats.Msg{Data: data, Header: nats.Header{bus.IDsHeader: {"once"}}})
	}
	if err != nil {
		w.log.Error("[NATS] cannot reply to "+string(suffix), "error", err)
	}
}
