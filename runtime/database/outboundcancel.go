package database

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/bus"
)

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
