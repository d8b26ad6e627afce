package publisher

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// giveToService publishes one batch by core NATS, or waits for something to send. It answers false while no service
// answers.
func (p *Publisher) giveToService(ctx context.Context) bool {
	if !p.serviceAnswers(ctx) {
		return false
	}
	send := p.send
	if p.service.storesAgain() {
		send = p.sendOnce
	}
	batch, end := p.queue.front(maxBatch)
	switch {
	case len(batch) == 0:
		p.pause(ctx, p.queue.pushed)
	case !send(ctx, batch, end):
		p.pause(ctx, nil)
	}
	return true
}

// send publishes a batch and lets it go when a service answers behind it on the same connection. With false it has to
// be published again.
func (p *Publisher) send(ctx context.Context, batch []bus.Message, end int) bool {
	connection := p.conn.Generation()
	sent, done := p.hand(batch)
	if done < len(batch) || !p.askService(ctx) || p.conn.Generation() != connection {
		return false
	}
	p.queue.removeTo(end)
	p.published(sent)
	return true
}

// sendOnce publishes a batch to a service that would store again what comes again. So it is asked before, and what the
// connection has taken is let go, whatever becomes of it. It answers false when something is left.
func (p *Publisher) sendOnce(ctx context.Context, batch []bus.Message, end int) bool {
	if !p.askService(ctx) || !p.service.storesAgain() { // another may have come
		return false
	}
	sent, done := p.hand(batch)
	p.queue.removeTo(end - len(batch) + done)
	p.published(sent)
	return done == len(batch)
}

// hand gives messages to the connection up to the first that it does not take. done counts those it need not be given
// again, with those that are too large.
func (p *Publisher) hand(batch []bus.Message) (sent []bus.Message, done int) {
	for _, m := range batch {
		err := p.conn.NATS().PublishMsg(p.wire(m))
		switch {
		case err == nil:
			sent = append(sent, m)
		case errors.Is(err, nats.ErrMaxPayload):
			p.tooLarge(m)
		default:
			p.service.absent(bus.ErrNotConnected)
			return sent, done
		}
		done++
	}
	return sent, done
}
