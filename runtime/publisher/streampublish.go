package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// giveToStream has the stream keep one batch, or waits for something to send. What is not confirmed stays in the
// queue from the first such message on, and goes out again in order. It answers false when the stream does not take it.
func (p *Publisher) giveToStream(ctx context.Context, bound bus.Bound) bool {
	batch, end := p.queue.front(bus.MaxUnacknowledged)
	if len(batch) == 0 {
		p.pause(ctx, p.queue.pushed)
		return true
	}
	confirmed, done, err := p.keep(ctx, bound, batch)
	p.queue.removeTo(end - len(batch) + done)
	p.published(confirmed)
	switch {
	case err == nil:
		p.binding.ReportSuccess()
	case ctx.Err() == nil:
		p.binding.ReportFailure(err)
	}
	return err == nil
}

// onItsWay is a message that was sent and what will be known of it.
type onItsWay struct {
	message bus.Message
	future  jetstream.PubAckFuture // nil: it could not be sent and never can, or is a report
	report  bool                   // no stream keeps it
}

// keep sends a batch without waiting in between, then waits for the confirmations. done counts the messages from the
// front that need not be sent again.
func (p *Publisher) keep(
	ctx context.Context, bound bus.Bound, batch []bus.Message,
) (confirmed []bus.Message, done int, err error) {
	var sent []onItsWay
	for _, m := range batch {
		if !slices.Contains(bus.Events, m.Suffix) {
			sent = append(sent, onItsWay{message: m, report: true})
			continue
		}
		future, failed := bound.JetStream.PublishMsgAsync(p.wire(m))
		if errors.Is(failed, nats.ErrMaxPayload) {
			p.tooLarge(m)
			sent = append(sent, onItsWay{message: m})
			continue
		}
		if failed != nil {
			err = fmt.Errorf("publishing to the stream: %w", failed)
			break
		}
		sent = append(sent, onItsWay{message: m, future: future})
	}
	for _, one := range sent {
		if one.report {
			p.reports.push(one.message)
		}
		if one.future == nil {
			done++
			continue
		}
		if failed := p.confirm(ctx, bound, one); failed != nil {
			return confirmed, done, failed
		}
		confirmed = append(confirmed, one.message)
		done++
	}
	return confirmed, done, err
}

func (p *Publisher) confirm(ctx context.Context, bound bus.Bound, one onItsWay) error {
	select {
	case ack := <-one.future.Ok():
		if kept := bound.Stream.CachedInfo().Config.Name; ack.Stream != kept {
			return fmt.Errorf("the stream %s took what belongs into %s", ack.Stream, kept)
		}
		return nil
	case err := <-one.future.Err():
		if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
			p.tooLarge(one.message)
			return nil
		}
		return fmt.Errorf("publishing to the stream: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("publishing to the stream: %w", context.Cause(ctx))
	}
}
