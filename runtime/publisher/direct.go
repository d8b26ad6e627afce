package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Direct has a database in the bot's own process store what would else be published on NATS:
// the same messages, in the same bounded and ordered buffer.
type Direct struct {
	storer  Storer
	log     *slog.Logger
	queue   *queue
	metrics metrics
	check   *status.Recorder
	lost    atomic.Int64 // since the buffer became full
}

// NewDirect makes a publisher. Nothing is stored until Run. registerer may be nil.
func NewDirect(storer Storer, log *slog.Logger, registerer prometheus.Registerer) *Direct {
	q := newQueue(DefaultBuffer)
	check := status.NewRecorder(status.ServiceCheck, "")
	check.Set(true, status.ReasonDirect, "no service is needed: the bot stores in its database itself")
	return &Direct{
		storer: storer, log: log, queue: q, metrics: newMetrics(registerer, q), check: check,
	}
}

// Publish is that of Publisher: it takes a message and returns at once.
func (p *Direct) Publish(suffix bus.Suffix, eventID string, payload any) {
	data, err := bus.Encode(payload)
	if err != nil {
		p.metrics.dropped.WithLabelValues(droppedInvalid).Inc()
		p.log.Error("[DB] cannot encode "+string(suffix), "error", err)
		return
	}
	if p.queue.push(bus.Message{Suffix: suffix, ID: bus.MsgID(eventID, suffix), Data: data}) {
		return
	}
	p.metrics.dropped.WithLabelValues(droppedFull).Inc()
	if p.lost.Add(1) == 1 {
		p.log.Error("[DB] the buffer is full, the oldest messages are dropped until the database works",
			"buffer", p.queue.limit)
	}
}

// Run stores until ctx ends. What is then still kept is lost with the process: call Flush before.
func (p *Direct) Run(ctx context.Context) {
	for ctx.Err() == nil {
		stored, err := p.queue.drain(ctx, p.storer)
		switch {
		case err != nil: // the storer has said why
			pause(ctx, nil, probeInterval)
		case len(stored) == 0:
			pause(ctx, p.queue.pushed, probeInterval)
		default:
			p.stored(stored)
		}
	}
}

func (p *Direct) stored(messages []bus.Message) {
	p.metrics.noteStored(p.log, messages)
	if lost := p.lost.Swap(0); lost > 0 {
		p.log.Warn("[DB] messages were lost while the database did not work", "count", lost)
	}
}

// Flush waits until everything that was published before the call is stored. Run must be running.
// The error tells how many messages are left when ctx ended.
func (p *Direct) Flush(ctx context.Context) error {
	if left, err := p.queue.flush(ctx); err != nil {
		return fmt.Errorf("storing what is left: %d messages: %w", left, err)
	}
	return nil
}

// Check is status.ServiceCheck: no service is needed.
func (p *Direct) Check() status.Check { return p.check.Check() }

// pause waits for a time, or until it is woken or ctx ends.
func pause(ctx context.Context, wake <-chan struct{}, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
