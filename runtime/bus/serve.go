package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

const (
	// maxRequests and maxRequestBytes bound the requests of one subject that wait for a reply. Further ones are dropped: a
	// client asks again.
	maxRequests     = 64
	maxRequestBytes = 1 << 20
)

// What became of requests: values of the label outcome of the metric rosey_bus_requests_total.
const (
	requestAnswered = "answered"
	requestNoInbox  = "no_inbox" // the reply subject is no inbox
	requestBusy     = "busy"     // too many wait
	requestFailed   = "failed"   // the reply is too large, or the connection broke
	requestIgnored  = "ignored"  // there is no answer
)

// Serve replies to the requests on a subject until ctx ends. It is for requests whose body says nothing: those that
// wait at the same time get the same reply, so a flood of them costs one answer at a time. answer returns what is sent
// as JSON, or nil: then there is no reply. It is called after the request has arrived, by one goroutine.
//
// A request whose reply subject is no inbox is dropped and counted: its sender could otherwise have this process
// publish where the sender may not.
func (c *Conn) Serve(ctx context.Context, subject string, answer func(ctx context.Context) any) error {
	waiting := make(chan *nats.Msg, maxRequests)
	subscription, err := c.NATS().Subscribe(subject, func(m *nats.Msg) {
		if !IsInbox(m.Reply) {
			c.state.countRequest(requestNoInbox)
			return
		}
		select {
		case waiting <- m:
		default:
			c.state.countRequest(requestBusy)
		}
	})
	if err == nil {
		defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
		err = subscription.SetPendingLimits(maxRequests, maxRequestBytes)
	}
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-waiting:
			c.reply(takeWaiting(first, waiting), answer(ctx))
		}
	}
}

// takeWaiting returns a request and those that wait behind it.
func takeWaiting(first *nats.Msg, waiting <-chan *nats.Msg) []*nats.Msg {
	requests := []*nats.Msg{first}
	for len(waiting) > 0 {
		requests = append(requests, <-waiting)
	}
	return requests
}

func (c *Conn) reply(requests []*nats.Msg, answer any) {
	outcome := requestIgnored
	var data []byte
	if answer != nil {
		outcome = requestAnswered
		var err error
		if data, err = Encode(answer); err != nil {
			outcome = requestFailed
		}
	}
	for _, request := range requests {
		counted := outcome
		if outcome == requestAnswered && request.Respond(data) != nil {
			counted = requestFailed
		}
		c.state.countRequest(counted)
	}
}
