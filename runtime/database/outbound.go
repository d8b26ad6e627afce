package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// StoredUntil is the barrier of outbound lines. It returns a time such that every report that was published before it
// is stored, or the zero time if no such time is known. It must not wait for a backlog.
//
// A bot claims a line, says it, and publishes a report, which may still be in a backlog of events when the claim
// expires. The line may be claimed again only when its report is certainly not in the backlog.
type StoredUntil func(ctx context.Context) time.Time

// withheldPause is when a bot asks again for lines that the barrier withholds: the events that are to be stored before
// usually are within a moment, long before the claim of another bot ends or the bot would ask by itself.
const withheldPause = time.Second

// outboundGet answers bus.OutboundGet: it returns lines to say and claims them for the claimant.
func (e *Engine) outboundGet(ctx context.Context, r Request) (any, error) {
	request := struct {
		Limit      number `json:"limit"`
		MaxRetries number `json:"max_retries"`
		Claimant   string `json:"claimant"`
		origin
	}{Limit: defaultLimit, MaxRetries: defaultMaxRetries}
	if err := decodeInto(r.Data, &request); err != nil {
		return noRows, err
	}
	channel, err := e.decoder.channel(request.origin)
	if err = firstError(err, bytesLimit(limitIDBytes, "claimant", len(request.Claimant), maxIDBytes)); err != nil {
		return noRows, err
	}
	// The Python service treats a negative limit as no limit. Nobody uses that on purpose, and such a reply may not fit
	// into a message. Here it is 0.
	if request.Limit <= 0 || request.MaxRetries <= 0 {
		return noRows, nil
	}
	query := store.OutboundQuery{
		Limit: int(min(request.Limit, maxRows)), MaxRetries: int(min(request.MaxRetries, maxRows)),
		Claimant: request.Claimant, Now: time.Now(), MaxBytes: r.MaxReply,
	}
	withheld := false
	if barrier := e.barrier.Load(); barrier != nil {
		query.StoredUntil = func(ctx context.Context) time.Time {
			until := (*barrier)(ctx)
			withheld = until.Before(query.Now)
			return until
		}
	}
	rows, err := e.store.Outbound(ctx, channel, query)
	if err != nil {
		return noRows, fmt.Errorf("claiming outbound lines: %w", err)
	}
	lines := fitting(outboundMessages(rows, request.Claimant), r.MaxReply)
	traceClaims(r, lines)
	reply := bus.OutboundReply{Lines: lines, NextDue: new(time.Duration)}
	if len(rows) < query.Limit {
		next, err := e.store.NextOutbound(ctx, channel, query.MaxRetries, query.Now)
		if err != nil {
			return noRows, fmt.Errorf("finding the next outbound line: %w", err)
		}
		*reply.NextDue = bus.MaxNextDue
		if !next.IsZero() {
			*reply.NextDue = min(next.Sub(query.Now), bus.MaxNextDue)
		}
	}
	if withheld {
		*reply.NextDue = min(*reply.NextDue, withheldPause)
	}
	return reply, nil
}

// outboundMessages returns lines as they are sent to a claimant.
func outboundMessages(rows []store.OutboundMessage, claimant string) []bus.OutboundMessage {
	messages := make([]bus.OutboundMessage, 0, len(rows))
	for _, row := range rows {
		message := bus.OutboundMessage{
			ID: row.ID, Timestamp: row.EnqueuedAt.Unix(), Message: row.Text, RetryCount: row.RetryCount,
			ClaimedSince: bus.Seconds{Time: row.ClaimedSince}, TraceParent: row.TraceParent,
		}
		if row.LastError != "" {
			message.LastError, message.ErrorMessage = &row.LastError, &row.LastError
		}
		if claimant != "" {
			message.LeaseSeconds = int(store.ClaimDuration.Seconds())
		}
		messages = append(messages, message)
	}
	return messages
}

// outboundPut answers bus.OutboundPut and bus.OutboundPutCommand. It makes one attempt: the client tries again with the
// same client ID.
func (e *Engine) outboundPut(ctx context.Context, r Request) (any, error) {
	request, err := decodeObject[struct {
		Message  string `json:"message"`
		ClientID string `json:"client_id"`
		Asker    string `json:"asker"`
		origin
	}](r.Data)
	switch {
	case err != nil:
	case strings.TrimSpace(request.Message) == "":
		err = fmt.Errorf("%w: message: expected a text that is not blank", errInvalid)
	default:
		err = firstError(bytesLimit(limitOutboundBytes, "message", len(request.Message), bus.MaxOutboundBytes),
			bytesLimit(limitIDBytes, "client_id", len(request.ClientID), maxIDBytes),
			bytesLimit(limitIDBytes, "asker", len(request.Asker), bus.MaxAskerBytes),
			checkPermitted(r.Suffix, request.Message))
	}
	var channel store.Channel
	if err == nil {
		channel, err = e.decoder.channel(request.origin)
	}
	size := len(request.Message) + 2*len(request.ClientID) + len(request.Asker)
	if err == nil {
		err = e.limits.addRow(channel, size, "")
	}
	if err != nil {
		return bus.OutboundPutReply{Error: err.Error()}, err
	}
	id, err := e.store.Enqueue(ctx, channel, store.OutboundLine{
		Text: request.Message, ClientID: request.ClientID, At: r.Time, MaxWaiting: e.limits.OutboundWaiting,
		TraceParent: traceParent(ctx), Asker: request.Asker,
	})
	if err != nil || !e.limits.isNewLine(channel, id) {
		e.limits.removeRow(channel, size)
	}
	if err = quotaError(err); errors.Is(err, errFull) {
		return bus.OutboundPutReply{Error: err.Error()}, err
	}
	if err != nil {
		return bus.OutboundPutReply{Error: errUnavailable, Retry: true}, fmt.Errorf("queueing an outbound line: %w", err)
	}
	e.announceLine(ctx, channel)
	return bus.OutboundPutReply{Success: true, ID: id}, nil
}

// checkPermitted returns an error if the subject of a request does not permit its text: saying and commanding are two
// permissions in NATS, and the bot executes exactly the rows whose text begins with "/".
func checkPermitted(suffix bus.Suffix, text string) error {
	isCommand := strings.HasPrefix(text, "/")
	switch {
	case suffix == bus.OutboundPut && bus.ContainsCommand(text):
		return fmt.Errorf(`%w: message: a line begins with "/", which is a command: expected on %s, `+
			`which needs a permission of its own`, errInvalid, bus.OutboundPutCommand)
	case suffix == bus.OutboundPutCommand && (!isCommand || bus.ContainsLineBreak(text)):
		return fmt.Errorf(`%w: message: expected one line that begins with "/"; any other text is expected on %s`,
			errInvalid, bus.OutboundPut)
	}
	return nil
}

// outboundReport answers bus.OutboundSent and bus.OutboundFailed if they are requests with a reply subject; otherwise
// they are events like all others. Unlike other requests it waits for a store that is not available: a line that was
// said and not reported would be said again.
func (e *Engine) outboundReport(ctx context.Context, r Request) (any, error) {
	event, err := e.decoder.event(bus.Message{Suffix: r.Suffix, Data: r.Data, Time: r.Time}, "")
	if err != nil {
		return bus.Ack{Error: reportError(err)}, err
	}
	err = e.retry(ctx, func() error { return e.store.Apply(ctx, []store.Event{event}) })
	switch {
	case errors.Is(err, store.ErrRejected):
		return bus.Ack{Error: "the database rejects the report"}, fmt.Errorf("storing a report of an outbound line: %w", err)
	case err != nil:
		return nil, fmt.Errorf("storing a report of an outbound line: %w", err)
	}
	return bus.Ack{Success: true}, nil
}

// outboundCancel answers bus.OutboundCancel.
func (e *Engine) outboundCancel(ctx context.Context, r Request) (any, error) {
	request, err := decodeObject[struct {
		ID    number `json:"id"`
		Asker text   `json:"asker"`
		origin
	}](r.Data)
	if err == nil && request.ID <= 0 {
		err = fmt.Errorf("%w: id: expected the ID of a line", errInvalid)
	}
	err = firstError(err, bytesLimit(limitIDBytes, "asker", len(request.Asker), bus.MaxAskerBytes))
	if err != nil {
		return bus.OutboundCancelReply{Error: err.Error()}, err
	}
	channel, err := e.decoder.channel(request.origin)
	if err != nil {
		return bus.OutboundCancelReply{Error: err.Error()}, err
	}
	state, err := e.store.CancelOutbound(ctx, channel, int64(request.ID), r.Time)
	if err != nil {
		err = fmt.Errorf("taking back an outbound line: %w", err)
		return bus.OutboundCancelReply{Error: errUnavailable, Retry: true}, err
	}
	return cancelReply(bus.OutboundState(state)), nil
}

// cancelReply returns the reply for a line that has a state now.
func cancelReply(state bus.OutboundState) bus.OutboundCancelReply {
	reply := bus.OutboundCancelReply{Success: state == bus.OutboundCancelled, State: state}
	switch state {
	case bus.OutboundCancelled:
	case "":
		reply.State, reply.Error = bus.OutboundUnknown, "id: the channel has no line of this ID"
	case bus.OutboundSaid:
		reply.Error = "the line was said already"
	case bus.OutboundAbandoned:
		reply.Error = "the line was given up already"
	default:
		reply.Error = "a bot is saying the line"
	}
	return reply
}
