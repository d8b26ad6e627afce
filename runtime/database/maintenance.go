package database

import (
	"context"
	"errors"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	// pruneStep is how many rows are removed at once. Between two steps others write.
	pruneStep = 500
	// maxMaintenanceRequests bounds the requests that wait for a run.
	maxMaintenanceRequests = 16
)

// How a maintenance run ended: the values of the label outcome.
const (
	maintenanceDone   = "done"
	maintenanceFailed = "failed"
)

// maintenance removes what the retention does not keep, from time to time and on request. It works
// beside the worker, which must not wait for it.
type maintenance struct {
	*Service

	store    store.Store
	requests chan arrival
}

func newMaintenance(s *Service, opened store.Store) *maintenance {
	return &maintenance{Service: s, store: opened, requests: make(chan arrival, maxMaintenanceRequests)}
}

// run works until ctx ends. The first run is not at the start, when what bots have kept comes in.
func (m *maintenance) run(ctx context.Context) {
	ticker := time.NewTicker(m.upkeep)
	defer ticker.Stop()
	if err := m.measure(ctx); err != nil {
		m.log.Warn("[DB] the size of the database is not known", "error", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.once(ctx)
		case request := <-m.requests:
			m.reply(bus.MaintenanceRun, request, m.once(ctx))
		}
	}
}

// maintain hands a request over. When too many wait, it is answered at once.
func (w *worker) maintain(_ context.Context, m arrival) (any, error) {
	select {
	case w.maintenance.requests <- m:
		return answeredLater{}, nil
	default:
		return bus.MaintenanceReply{Error: "maintenance has been asked for too often and is running"}, nil
	}
}

// once is one run.
func (m *maintenance) once(ctx context.Context) bus.MaintenanceReply {
	began := time.Now()
	removed := map[store.Prunable]int64{}
	err := m.prune(ctx, began, removed)
	if err == nil {
		err = m.store.Optimize(ctx)
	}
	err = errors.Join(err, m.measure(ctx))
	report := bus.MaintenanceReply{
		Success: err == nil,
		Removed: bus.MaintenanceRemoved{
			Chat: removed[store.PruneChat], UserCounts: removed[store.PruneUserCounts],
			Outbound: removed[store.PruneOutbound], KV: removed[store.PruneKV],
			DeadLetters: removed[store.PruneDeadLetters],
		},
		DurationMS: time.Since(began).Milliseconds(),
	}
	switch {
	case ctx.Err() != nil:
		report.Error = "the service stops"
	case err != nil:
		m.metrics.upkeep.WithLabelValues(maintenanceFailed).Inc()
		m.log.Error("[DB] maintenance failed", "error", err)
		report.Error = "the database does not work"
	default:
		m.metrics.upkeep.WithLabelValues(maintenanceDone).Inc()
		m.log.Debug("[DB] maintenance done", "removed", removed, "took", time.Since(began))
	}
	return report
}

func (m *maintenance) measure(ctx context.Context) error {
	size, err := m.store.Size(ctx)
	if err == nil {
		m.metrics.size.Set(float64(size))
	}
	return err
}

// prune notes what it removed, with an error too.
func (m *maintenance) prune(ctx context.Context, now time.Time, removed map[store.Prunable]int64) error {
	for _, rule := range m.retention.Rules(now) {
		for {
			n, err := m.store.Prune(ctx, rule, pruneStep)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			removed[rule.Kind] += n
			m.metrics.pruned.WithLabelValues(string(rule.Kind)).Add(float64(n))
		}
	}
	return nil
}
