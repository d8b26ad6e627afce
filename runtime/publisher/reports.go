package publisher

import (
	"context"
	"encoding/json"
	"errors"

	"rosey.dev/rosey/runtime/bus"
)

// giveReports asks the service to take what no stream keeps, one after the other, until one is not acknowledged. It
// stays and is given again: a stream cannot confirm it, and what goes to the stream must not wait for it.
func (p *Publisher) giveReports(ctx context.Context) {
	for {
		batch, end := p.reports.front(1)
		if len(batch) == 0 {
			return
		}
		var ack bus.Ack
		err := p.requests.Request(ctx, batch[0].Suffix, json.RawMessage(batch[0].Data), &ack)
		if _, refused := errors.AsType[*json.SyntaxError](err); err != nil && !refused {
			return
		}
		if err != nil || !ack.Success {
			// To ask again would have the same answer, and hold up what is behind.
			p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
			p.log.Error("[NATS] refused "+string(batch[0].Suffix), "answer", ack.Error)
			p.reports.removeTo(end)
			continue
		}
		p.reports.removeTo(end)
		p.published(batch)
	}
}
