package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// tailBuffer is what may wait for a slow terminal before nats.go drops.
const tailBuffer = 4096

// watched is what bots and services send under a prefix.
var watched = []bus.Suffix{"db.>", "events.>"}

// Tail hands over what is sent on the bus and passes the filter, in the order of its arrival, until ctx ends
// or show fails. listening is called when everything sent from then on is seen.
func (c *Client) Tail(ctx context.Context, filter Filter, listening func(), show func(Message) error) error {
	arrivals := make(chan *nats.Msg, tailBuffer)
	for _, suffix := range watched {
		subscription, err := c.conn.NATS().ChanSubscribe(c.subjects.Subject(suffix), arrivals)
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", c.subjects.Subject(suffix), err)
		}
		defer func() { _ = subscription.Unsubscribe() }() // the connection ends with the command
	}
	if err := c.conn.NATS().FlushTimeout(bus.RequestTimeout); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	listening()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.conn.Closed():
			return errors.New(c.conn.Check().Message)
		case arrived := <-arrivals:
			suffix, ok := c.subjects.Suffix(arrived.Subject)
			if !ok {
				continue
			}
			message := newMessage(suffix, arrived, time.Now())
			if !message.of(c.origin.Channel) || !filter.matches(message) {
				continue
			}
			if err := show(message); err != nil {
				return err
			}
		}
	}
}
