package database

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// defaultIdleTimeout is how long a database that is opened on demand stays open after its last use.
const defaultIdleTimeout = time.Minute

// DirectOptions configure a Direct. Only what EngineOptions requires is required.
type DirectOptions struct {
	EngineOptions

	// ReportsInStream means that the bot's events may be in a stream that no database service reads at present. Then lines
	// that were claimed before wait for the service, because reports about them may be in the stream.
	ReportsInStream bool

	idleTimeout time.Duration // 0: defaultIdleTimeout
}

// Direct is a database in the bot's own process: an Engine without a network in front of it. Its Store is the
// publisher's route into a store, its Request that of the bot.
type Direct struct {
	engine *Engine
	log    *slog.Logger
	idle   time.Duration
	// lineWaits has a value while a line was put that nobody has looked for.
	lineWaits chan struct{}

	// lock contains a token while the store is being opened or closed, or the fields below change. It is a mutex with
	// support for contexts. While the store is in use, it is only locked for moments.
	lock    chan struct{}
	open    bool
	users   int       // calls that use the open store
	lastUse time.Time // when the last of them ended
}

// NewDirect returns a database that is opened by Run or at its first use.
func NewDirect(o DirectOptions) *Direct {
	d := &Direct{
		engine: NewEngine(o.EngineOptions), log: o.Log, idle: cmp.Or(o.idleTimeout, defaultIdleTimeout),
		lineWaits: make(chan struct{}, 1), lock: make(chan struct{}, 1),
	}
	d.engine.announceLine = d.announceLine
	if o.ReportsInStream {
		d.engine.setBarrier(func(context.Context) time.Time { return time.UnixMilli(0) })
	}
	return d
}

// StoreCheck returns the state of the store as status.StoreCheck.
func (d *Direct) StoreCheck() status.Check { return d.engine.StoreCheck() }

// LineWaits returns a channel that gets a value when a line was put into the outbound queue through this Direct. Lines
// of several requests may be one value.
func (d *Direct) LineWaits() <-chan struct{} { return d.lineWaits }

func (d *Direct) announceLine(store.Channel) { // a bot has one channel
	select {
	case d.lineWaits <- struct{}{}:
	default: // the bot has not looked yet
	}
}

// LastBackup returns when the newest backup was made. Zero: there is none.
func (d *Direct) LastBackup() time.Time { return d.engine.LastBackup() }

// Run keeps the store open and maintained until ctx ends, and then closes it. No call may be running by then.
func (d *Direct) Run(ctx context.Context) error {
	err := d.engine.retry(ctx, func() error { return d.acquire(ctx) })
	if err == nil {
		var watching sync.WaitGroup
		watching.Go(func() { d.engine.watchStore(ctx) })
		d.engine.Maintain(ctx)
		watching.Wait()
		d.release()
	}
	d.engine.reportStopping("the bot stops")
	return d.closeUnused(0)
}

// RunOnDemand closes the store a minute after its last use, and when ctx ends. No call may be running by then. It runs
// no maintenance: the database service does.
func (d *Direct) RunOnDemand(ctx context.Context) error {
	for backoff.Sleep(ctx, d.idle/4) {
		if err := d.closeUnused(d.idle); err != nil {
			d.log.Warn("[DB] cannot close the database", "error", err)
		}
	}
	return d.closeUnused(0)
}

// Store stores messages as Engine.Store does. If the database is not open, it makes one attempt to open it.
func (d *Direct) Store(ctx context.Context, messages []bus.Message) error {
	if err := d.acquire(ctx); err != nil {
		d.reportFailure(ctx, err)
		return err
	}
	defer d.release()
	return d.engine.Store(ctx, messages)
}

// Request returns the reply that the database service would give over NATS, within the same time and with the same
// errors.
func (d *Direct) Request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, bus.RequestTimeout)
	defer cancel()
	data, err := bus.Encode(in)
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", suffix, err)
	}
	if handlers[suffix] == nil || suffix == bus.MaintenanceRun { // Run maintains the database by itself
		return fmt.Errorf("requesting %s: %w", suffix, bus.ErrNoService)
	}
	if err := d.acquire(ctx); err != nil {
		return d.requestFailed(ctx, suffix, err)
	}
	defer d.release()
	reply, err := d.engine.Answer(ctx, Request{Suffix: suffix, Data: data, Time: time.Now()})
	if err != nil && !errors.Is(err, errNotServed) {
		return d.requestFailed(ctx, suffix, err)
	}
	d.engine.reportSuccess()
	d.log.Debug("[DB] answered " + string(suffix))
	if data, err = bus.Encode(reply); err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return fmt.Errorf("decoding the reply to %s: %w", suffix, err)
	}
	if out, ok := out.(bus.HeaderReader); ok {
		out.SetHeader(headerOf(reply))
	}
	return nil
}

// requestFailed returns the error of a request that got no reply.
func (d *Direct) requestFailed(ctx context.Context, suffix bus.Suffix, err error) error {
	d.reportFailure(ctx, err)
	return fmt.Errorf("requesting %s of the database: %w (%w)", suffix, bus.ErrNoReply, err)
}

// reportFailure records that the store failed, unless the caller canceled the call.
func (d *Direct) reportFailure(ctx context.Context, err error) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		d.engine.reportFailure(err)
	}
}

// acquire opens the store if it is not open, and keeps it open until release.
func (d *Direct) acquire(ctx context.Context) error {
	select {
	case d.lock <- struct{}{}:
		defer func() { <-d.lock }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the database to be opened: %w", ctx.Err())
	}
	if !d.open {
		if err := d.engine.openOnce(ctx); err != nil {
			return err
		}
		d.open = true
	}
	d.users++
	return nil
}

func (d *Direct) release() {
	d.lock <- struct{}{}
	d.users--
	d.lastUse = time.Now()
	<-d.lock
}

// closeUnused closes the store if it is not in use and its last use was at least idle ago.
func (d *Direct) closeUnused(idle time.Duration) error {
	d.lock <- struct{}{}
	defer func() { <-d.lock }()
	if !d.open || d.users > 0 || time.Since(d.lastUse) < idle {
		return nil
	}
	d.open = false
	return d.engine.Close()
}

// Fallback requests from the database service over NATS, and from the database itself if no service can be reached.
type Fallback struct {
	Service  *bus.Requester
	Database *Direct
	Log      *slog.Logger
}

// Request implements the bot's requester. A service that does not reply in time is not bypassed: it may have
// executed the request.
func (f Fallback) Request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	err := f.Service.Request(ctx, suffix, in, out)
	if err == nil {
		f.Log.Debug("[NATS] answered " + string(suffix))
	}
	if !errors.Is(err, bus.ErrNotConnected) && !errors.Is(err, bus.ErrNoService) {
		return err
	}
	if direct := f.Database.Request(ctx, suffix, in, out); direct != nil {
		return fmt.Errorf("%w; %w", err, direct)
	}
	return nil
}
