package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

const (
	// fallbackDelay is how long messages wait for NATS before they go to the store: a NATS server that restarts must
	// not make every bot open a connection to the database.
	fallbackDelay = time.Second
	// fallbackTimeout bounds one attempt to store while there are routes over NATS, which may work again meanwhile.
	fallbackTimeout = 5 * time.Second
	// storeBatch is the number of messages in one transaction.
	storeBatch = 256
)

// storeRoute writes messages to a database that the process has open. Their IDs make it harmless that some were
// published before and are stored by a service too.
type storeRoute struct {
	storer   Storer
	fallback bool // there are routes over NATS before it
	log      *slog.Logger
	metrics  metrics
	check    *status.Recorder // as the fallback: OK while it is used

	needed time.Time // since when no route over NATS has worked. Zero: one does
}

func newStoreRoute(storer Storer, fallback bool, log *slog.Logger, m metrics) *storeRoute {
	r := &storeRoute{
		storer: storer, fallback: fallback, log: log, metrics: m, check: status.NewRecorder(status.ServiceCheck, ""),
	}
	if !fallback {
		r.check.Set(true, status.ReasonDirect, "no service is needed: the bot stores in its database itself")
	}
	return r
}

func (r *storeRoute) ready(context.Context, destination) bool {
	if !r.fallback {
		return true
	}
	if r.needed.IsZero() {
		r.needed = time.Now()
	}
	return time.Since(r.needed) >= fallbackDelay
}

func (r *storeRoute) send(ctx context.Context, _ destination, batch []bus.Message) (done int, err error) {
	batch = batch[:min(len(batch), storeBatch)]
	if err := r.store(ctx, batch); err != nil {
		return 0, err
	}
	for _, m := range batch {
		endSend(m)
		r.metrics.stored.WithLabelValues(string(m.Suffix)).Inc()
		r.metrics.observe(m)
		r.log.DebugContext(telemetry.ContextWith(ctx, m.Span), viaStore+"stored "+string(m.Suffix), "id", m.ID)
	}
	return len(batch), nil
}

func (r *storeRoute) store(ctx context.Context, batch []bus.Message) error {
	if !r.fallback {
		return r.storer.Store(ctx, batch) // it logs its errors
	}
	attempt, cancel := context.WithTimeout(ctx, fallbackTimeout)
	defer cancel()
	err := r.storer.Store(attempt, batch)
	switch {
	case err == nil:
		if r.check.Set(true, status.ReasonDirect, "the bot writes to the database itself meanwhile") {
			r.log.WarnContext(ctx,
				viaStore+"messages cannot be delivered over NATS: the bot writes to the database itself")
		}
	case ctx.Err() == nil:
		if r.check.Set(false, status.ReasonStoreUnavailable, err.Error()) {
			r.log.ErrorContext(ctx,
				viaStore+"messages cannot be delivered over NATS, and the database cannot be written", "error", err)
		}
	}
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	return nil
}

// stop records that a route over NATS works, so that the fallback is not needed.
func (r *storeRoute) stop() {
	if r.needed.IsZero() {
		return
	}
	r.needed = time.Time{}
	used := r.check.Check().OK
	r.check.Set(false, status.ReasonStarting, "")
	if used {
		r.log.Info(viaNATS + "messages go over NATS again")
	}
}
