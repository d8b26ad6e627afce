package database

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	// defaultMaintenanceInterval is the time between two maintenance runs.
	defaultMaintenanceInterval = 5 * time.Minute
	// firstBackup and firstMaintenance are when the first ones are, after the store was opened: early, because a process
	// that lives only for minutes would otherwise never make any, and not at once, because then the bots send what they
	// have queued. Half of each is random, so that services that were started together do not burden one disk together.
	firstBackup      = 4 * time.Second
	firstMaintenance = 50 * time.Second
	// pruneStep is how many rows are removed in one transaction. Between two of them others can write.
	pruneStep = 500
	// maxMaintenanceRequests bounds the requests that wait for a run to end.
	maxMaintenanceRequests = 16
)

// maintenance is the state of the runs that remove what is no longer retained.
type maintenance struct {
	retention store.Retention
	interval  time.Duration
	running   chan struct{} // has a token during a run
	waiting   atomic.Int32  // requests that wait for a run to end
	recounted bool          // the keys of plugins were counted anew; only a run uses it
	removals  announcedRemovals
}

// Maintain makes the backups that are due and runs maintenance at intervals until ctx ends. A backup comes first: it
// has what the maintenance after it removes.
func (e *Engine) Maintain(ctx context.Context) {
	e.findBackups(ctx)
	if err := e.measure(ctx); err != nil {
		e.log.WarnContext(ctx, "[DB] cannot measure the size of the database", "error", err)
	}
	spread := func(most time.Duration) time.Duration {
		most = min(most, e.maintenance.interval)
		return most/2 + backoff.Jitter(most/2)
	}
	if backoff.Sleep(ctx, spread(firstBackup)) {
		e.backUpIfDue(ctx)
	}
	for pause := spread(firstMaintenance); backoff.Sleep(ctx, pause); pause = e.maintenance.interval {
		e.backUpIfDue(ctx)
		e.runMaintenance(ctx)
	}
}

// maintenanceRun answers bus.MaintenanceRun. It may last long: a transport calls it in a goroutine of its own.
func (e *Engine) maintenanceRun(ctx context.Context, _ Request) (any, error) {
	defer e.maintenance.waiting.Add(-1)
	if e.maintenance.waiting.Add(1) > maxMaintenanceRequests {
		return bus.MaintenanceReply{Error: "maintenance is running and too many requests wait for it"}, nil
	}
	return e.runMaintenance(ctx), nil
}

// runMaintenance waits for its turn and makes one run.
func (e *Engine) runMaintenance(ctx context.Context) bus.MaintenanceReply {
	select {
	case e.maintenance.running <- struct{}{}:
		defer func() { <-e.maintenance.running }()
	case <-ctx.Done():
		return bus.MaintenanceReply{Error: "the service stops"}
	}
	began := time.Now()
	removed := map[store.RowKind]int64{}
	err := e.prune(ctx, began, removed)
	if err == nil && !e.maintenance.recounted {
		err = e.store.RecountKV(ctx)
		e.maintenance.recounted = err == nil
	}
	if err == nil {
		err = e.store.Optimize(ctx)
	}
	err = errors.Join(err, e.measure(ctx))
	reply := bus.MaintenanceReply{
		Success: err == nil,
		Removed: bus.MaintenanceRemoved{
			Chat: removed[store.PruneChat], UserCounts: removed[store.PruneUserCounts],
			Media:    removed[store.PruneMedia],
			Outbound: removed[store.PruneOutbound], KV: removed[store.PruneKV],
			DeadLetters: removed[store.PruneDeadLetters], People: removed[store.PrunePeople],
		},
		DurationMS: time.Since(began).Milliseconds(),
	}
	switch {
	case ctx.Err() != nil:
		reply.Error = "the service stops"
	case err != nil:
		e.metrics.maintenanceRuns.WithLabelValues(maintenanceFailed).Inc()
		e.log.ErrorContext(ctx, "[DB] maintenance failed", "error", err)
		reply.Error = errUnavailable
	default:
		e.metrics.maintenanceRuns.WithLabelValues(maintenanceDone).Inc()
		e.log.DebugContext(ctx, "[DB] maintenance done", "removed", removed, "duration", time.Since(began))
	}
	return reply
}

// measure updates the metric of the database's size, and how much of the limits is used.
func (e *Engine) measure(ctx context.Context) error {
	size, err := e.store.Size(ctx)
	if err != nil {
		return fmt.Errorf("reading the size of the database: %w", err)
	}
	e.metrics.size.Set(float64(size))
	return e.measureUsage(ctx)
}

// prune removes rows in small steps and counts them in removed, also those before an error.
func (e *Engine) prune(ctx context.Context, now time.Time, removed map[store.RowKind]int64) error {
	servedBy, err := e.prunedChannels(ctx)
	if err != nil {
		return err
	}
	rules := e.maintenance.retention.Rules(now)
	if err := e.readRemovals(ctx, rules, servedBy); err != nil {
		return err
	}
	for _, rule := range rules {
		rule.ServedBy = servedBy
		if may, err := e.mayPrune(ctx, rule, now); err != nil {
			return err
		} else if !may {
			continue
		}
		for {
			n, err := e.store.Prune(ctx, rule, pruneStep)
			if err != nil {
				return fmt.Errorf("removing rows of %s: %w", rule.Kind, err)
			}
			if n == 0 {
				break
			}
			removed[rule.Kind] += n
			e.metrics.pruned.WithLabelValues(string(rule.Kind)).Add(float64(n))
		}
	}
	return nil
}

// prunedChannels returns the channels whose rows are removed, as a store.PruneRule has them. Where several services use
// one database, each removes only what its own retention is about.
func (e *Engine) prunedChannels(ctx context.Context) (servedBy string, err error) {
	owners, several := e.store.(store.ChannelOwners)
	if !several {
		return "", nil
	}
	if prefix := e.channels.service.Prefix; prefix != "" {
		return prefix, nil
	}
	// Direct mode: the bot may have had a service before.
	channels, err := owners.Channels(ctx)
	for _, channel := range channels {
		if foldedChannel(channel.Channel) == foldedChannel(e.channels.own) && channel.ServedBy != "" {
			return channel.ServedBy, nil
		}
	}
	return store.NoService, err
}
