package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

const (
	// minStoreRetry and maxStoreRetry are the shortest and the longest pause between two attempts to use the store.
	minStoreRetry = 100 * time.Millisecond
	maxStoreRetry = 5 * time.Second
	// defaultStoreInterval is the time between two checks of an open store.
	defaultStoreInterval = 5 * time.Second
)

// EngineOptions configure the Engine of a Service or a Direct. Channel, Open and Log are required.
type EngineOptions struct {
	// Channel is the channel of a message that does not name one.
	Channel store.Channel
	// Open opens the store. The engine calls it again until it succeeds.
	Open func(ctx context.Context) (store.Store, error)
	// Log gets one line for each change of the store's state and, at most once a minute for each cause, one for a message
	// that cannot be stored. It never gets the content of a message.
	Log *slog.Logger
	// Listed returns the channels that are served besides Channel. It is called every few seconds. Nil: there are none.
	Listed func() ([]store.Channel, error)
	// Service identifies the service to the others that use the same database. Zero: the engine belongs to no service,
	// and records no owner.
	Service store.Service
	// Retention is how long rows are kept. Its zero value has defaults. If it ends for more rows than a day brings, they
	// are removed a day after that was logged.
	Retention store.Retention
	// Limits bound what clients can send and have kept. A zero has its default.
	Limits config.Limits
	// Server returns the address of the server of PostgreSQL, or "" while it is not known. It is called at each scrape of
	// the metrics. Nil: the store is a file.
	Server func() string
	// Backup is how the store is copied, if it is a store.Backuper. Zero: it is not.
	Backup BackupOptions
	// Registerer gets the metrics. Nil: none.
	Registerer prometheus.Registerer

	maintenanceInterval time.Duration // 0: defaultMaintenanceInterval
	removalGrace        time.Duration // 0: defaultRemovalGrace
	channelsInterval    time.Duration // 0: defaultChannelsInterval
	storeInterval       time.Duration // 0: defaultStoreInterval
}

// Engine stores events and answers requests. It does not depend on NATS: a transport passes messages to it.
//
// Store and Maintain may each be called by one goroutine at a time, Answer by any number. All of them need an open
// store.
type Engine struct {
	open        func(ctx context.Context) (store.Store, error)
	log         *slog.Logger
	channels    *servedChannels
	decoder     decoder
	dedup       *dedupWindow
	metrics     *metrics
	check       *status.Recorder
	maintenance maintenance
	backups     backups
	queries     queries
	people      people
	limits      *limits
	// storeInterval is the time between two checks of the open store.
	storeInterval time.Duration
	barrier       atomic.Pointer[StoredUntil] // nil: every report is stored when it arrives
	// announceLine tells the bot of a channel that a line waits in the outbound queue. It must not block.
	announceLine func(context.Context, store.Channel)
	// For log lines about messages for other channels, that cannot be decoded, and that the database rejects.
	refusals, invalid, rejected logLimit

	// reporting guards failing, and check while an operation reports a success.
	reporting sync.Mutex
	failing   int // operations that failed and are tried again

	store store.Store // nil while closed
}

// NewEngine returns an engine whose store is closed.
func NewEngine(o EngineOptions) *Engine {
	channels, metrics := newServedChannels(o), newMetrics(o.Registerer)
	registerInfo(o.Registerer, o.Server)
	return &Engine{
		open: o.Open, log: o.Log,
		channels: channels,
		decoder:  decoder{own: o.Channel, served: channels, ids: bus.NewIDs(time.Now())},
		dedup:    newDedupWindow(),
		metrics:  metrics,
		limits:   newLimits(o.Limits, metrics, o.Log),

		queries:       newQueries(),
		people:        people{running: make(chan struct{}, 1)},
		announceLine:  func(context.Context, store.Channel) {},
		check:         status.NewRecorder(status.StoreCheck, "opening the database"),
		storeInterval: cmp.Or(o.storeInterval, defaultStoreInterval),
		maintenance: maintenance{
			retention: o.Retention, interval: cmp.Or(o.maintenanceInterval, defaultMaintenanceInterval),
			running: make(chan struct{}, 1),
			removals: announcedRemovals{
				grace: cmp.Or(o.removalGrace, defaultRemovalGrace), logged: map[store.RowKind]store.Removal{},
			},
		},
		backups: backups{BackupOptions: o.Backup, pause: backoff.Backoff{
			Min: cmp.Or(o.maintenanceInterval, defaultMaintenanceInterval), Max: maxBackupPause,
		}},
	}
}

// setBarrier sets the barrier for outbound lines that were claimed before. Nil: there is no barrier.
func (e *Engine) setBarrier(f StoredUntil) {
	if f == nil {
		e.barrier.Store(nil)
		return
	}
	e.barrier.Store(&f)
}

// StoreCheck returns the state of the store as status.StoreCheck.
func (e *Engine) StoreCheck() status.Check {
	check := e.check.Check()
	if owner := e.channels.owner.Check(); check.OK && !owner.OK {
		return owner
	}
	return check
}

// Open opens the store and tries again until it succeeds. It returns an error only when ctx ended before.
func (e *Engine) Open(ctx context.Context) error {
	return e.retry(ctx, func() error { return e.openOnce(ctx) })
}

// openOnce makes one attempt to open the store.
func (e *Engine) openOnce(ctx context.Context) error {
	opened, err := e.open(ctx)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	if err := e.takeChannels(ctx, opened); err != nil {
		_ = opened.Close() // the error above says why it cannot be used
		return err
	}
	e.store = opened
	return nil
}

// Close closes the store if it is open. No other method may run at the same time.
func (e *Engine) Close() error {
	if e.store == nil {
		return nil
	}
	e.queries.times.stop()
	err := e.store.Close()
	e.store = nil
	if err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	e.log.Info("[DB] database closed")
	return nil
}

// retry calls attempt until it succeeds, until the store rejects its data, or until ctx ends, and updates the store's
// check. It returns the last error.
func (e *Engine) retry(ctx context.Context, attempt func() error) error {
	pause := backoff.Backoff{Min: minStoreRetry, Max: maxStoreRetry}
	failing := false
	for {
		err := attempt()
		done := err == nil || errors.Is(err, store.ErrRejected)
		if !done && ctx.Err() == nil {
			failing = e.setFailing(failing, true)
			e.reportFailure(ctx, err)
			noteBackoff(ctx, err)
			if backoff.Sleep(ctx, pause.Next()) {
				continue
			}
		}
		e.setFailing(failing, false)
		if done {
			e.reportSuccess(ctx)
		}
		return err
	}
}

// setFailing records that an operation, which was failing or not, fails now or does not. It returns now.
func (e *Engine) setFailing(was, now bool) bool {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	switch {
	case now && !was:
		e.failing++
	case was && !now:
		e.failing--
	}
	return now
}

// watchStore checks at intervals until ctx ends whether the open store was taken away. Where little happens, the next
// event would come much later.
func (e *Engine) watchStore(ctx context.Context) {
	moved := false
	for backoff.Sleep(ctx, e.storeInterval) {
		err := e.store.Check(ctx)
		switch was := moved; {
		case ctx.Err() != nil:
		case err != nil && !was: // after that the operations that fail report it
			moved = e.setFailing(was, true)
			e.reportFailure(ctx, err)
		case err == nil && was:
			moved = e.setFailing(was, false)
			e.reportSuccess(ctx)
		}
	}
	e.setFailing(moved, false)
}

// reportSuccess records that an operation of the store succeeded, unless another one fails: while the disk is full, one
// can read.
func (e *Engine) reportSuccess(ctx context.Context) {
	if e.setOpen() {
		e.log.InfoContext(ctx, "[DB] the database is open")
	}
}

func (e *Engine) setOpen() (changed bool) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	return e.failing == 0 && e.check.Set(true, status.ReasonStoreOpen, "the database is open")
}

// reportFailure records that the store failed. The message is logged once for each reason.
func (e *Engine) reportFailure(ctx context.Context, err error) {
	message := err.Error() + "; trying again"
	if !errors.Is(err, store.ErrChannelOwned) && !errors.Is(err, errChannelList) {
		message = "the database is not available: " + message
	}
	if e.check.Set(false, storeReason(err), message) {
		e.log.ErrorContext(ctx, "[DB] "+message)
	}
}

// reportStopping records that the process closes the store on purpose.
func (e *Engine) reportStopping(message string) { e.check.Set(false, status.ReasonStopping, message) }

// storeReason returns the status reason for an error of the store.
func storeReason(err error) status.Reason {
	// A failed migration wraps its cause, for example a missing permission or a full disk. The cause comes first, because
	// it says what an administrator must fix first.
	for _, each := range []struct {
		cause  error
		reason status.Reason
	}{
		{store.ErrChannelOwned, status.ReasonChannelOwned},
		{errChannelList, status.ReasonChannelListInvalid},
		{store.ErrURLAbsent, status.ReasonStoreURLAbsent},
		{store.ErrURLInvalid, status.ReasonStoreURLInvalid},
		{store.ErrMoved, status.ReasonStoreMoved},
		{store.ErrForeign, status.ReasonStoreUnsuitable},
		{store.ErrUnsuitable, status.ReasonStoreUnsuitable},
		{store.ErrRefused, status.ReasonStoreRefused},
		{store.ErrFull, status.ReasonStoreFull},
		{store.ErrNewerSchema, status.ReasonStoreNewer},
		{store.ErrMigration, status.ReasonMigrationFailed},
	} {
		if errors.Is(err, each.cause) {
			return each.reason
		}
	}
	return status.ReasonStoreUnavailable
}
