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
	// waiting has a value while a line was put that nobody has looked for.
	waiting chan struct{}

	// openRequested has a value while calls wait for the store to be opened.
	openRequested chan struct{}

	mu      sync.Mutex
	open    bool
	users   int       // calls that use the open store
	lastUse time.Time // when the last of them ended, or the store was opened
	opening *opening  // nil: no call waits for the store to be opened
}

// opening is one attempt to open the store. Any number of calls wait for it.
type opening struct {
	done chan struct{} // closed at the end
	err  error         // valid once done is closed
}

func newOpening() *opening { return &opening{done: make(chan struct{})} }

func (o *opening) end(err error) {
	o.err = err
	close(o.done)
}

// errEnded means that Run or RunOnDemand has returned.
var errEnded = errors.New("the database is closed: the bot stops")

// NewDirect returns a database that is closed until Run or RunOnDemand opens it. Calls before that wait.
func NewDirect(o DirectOptions) *Direct {
	d := &Direct{
		engine: NewEngine(o.EngineOptions), log: o.Log, idle: cmp.Or(o.idleTimeout, defaultIdleTimeout),
		waiting: make(chan struct{}, 1), openRequested: make(chan struct{}, 1),
	}
	d.engine.announceLine = d.announceLine
	if o.ReportsInStream {
		d.engine.setBarrier(func(context.Context) time.Time { return time.UnixMilli(0) })
	}
	return d
}

// StoreCheck returns the state of the store as status.StoreCheck.
func (d *Direct) StoreCheck() status.Check { return d.engine.StoreCheck() }

// Waiting returns a channel that gets a value when a line was put into the outbound queue through this Direct. Lines
// of several requests may be one value.
func (d *Direct) Waiting() <-chan struct{} { return d.waiting }

func (d *Direct) announceLine(context.Context, store.Channel) { // a bot has one channel
	select {
	case d.waiting <- struct{}{}:
	default: // the bot has not looked yet
	}
}

// LastBackup returns when the newest backup was made. Zero: there is none.
func (d *Direct) LastBackup() time.Time { return d.engine.LastBackup() }

// Run keeps the store open and maintained until ctx ends, and then closes it. No call may be running by then.
func (d *Direct) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() {
		for d.awaitRequest(ctx, nil) {
			d.openStore(ctx)
		}
	})
	if d.engine.retry(ctx, func() error { return d.acquire(ctx) }) == nil {
		running.Go(func() { d.engine.watchStore(ctx) })
		d.engine.Maintain(ctx)
		d.release()
	}
	running.Wait()
	d.engine.reportStopping("the bot stops")
	return d.end()
}

// RunOnDemand opens the store when it is used, and closes it a minute after its last use and when ctx ends. No call may
// be running by then. It runs no maintenance: the database service does.
func (d *Direct) RunOnDemand(ctx context.Context) error {
	ticker := time.NewTicker(d.idle / 4)
	defer ticker.Stop()
	for d.awaitRequest(ctx, ticker.C) {
		d.openStore(ctx)
		if err := d.closeUnused(d.idle); err != nil {
			d.log.WarnContext(ctx, "[DB] cannot close the database", "error", err)
		}
	}
	return d.end()
}

// awaitRequest waits until a call needs the store, or for a tick. It returns false when ctx has ended.
func (d *Direct) awaitRequest(ctx context.Context, tick <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-d.openRequested:
	case <-tick:
	}
	return ctx.Err() == nil
}

// openStore makes one attempt to open the store if a call waits for that. It uses the context of Run or RunOnDemand:
// bringing the tables up to date may take longer than any call waits, and would begin anew with each of them.
func (d *Direct) openStore(ctx context.Context) {
	d.mu.Lock()
	attempt := d.opening
	d.mu.Unlock()
	if attempt == nil {
		return
	}
	err := d.engine.openOnce(ctx)
	switch {
	case err == nil:
		d.engine.reportSuccess(ctx)
	case ctx.Err() == nil:
		d.engine.reportFailure(ctx, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open, d.lastUse, d.opening = err == nil, time.Now(), nil
	attempt.end(err)
}

// end closes the store. Calls that wait for it, and later ones, fail.
func (d *Direct) end() error {
	d.mu.Lock()
	if d.opening == nil {
		d.opening = newOpening()
	}
	d.opening.end(errEnded)
	d.mu.Unlock()
	return d.closeUnused(0)
}

// Store stores messages as Engine.Store does. If the database is not open, it waits for one attempt to open it.
func (d *Direct) Store(ctx context.Context, messages []bus.Message) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	ctx, span := startBatch(ctx, nil, messages)
	defer span.End()
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
	// Run maintains the database by itself.
	if handled, _ := route(suffix); handlers[handled] == nil || suffix == bus.MaintenanceRun {
		return fmt.Errorf("requesting %s: %w", suffix, bus.ErrNoService)
	}
	if err := d.acquire(ctx); err != nil {
		return requestError(suffix, err)
	}
	defer d.release()
	reply, err := d.engine.Answer(ctx, Request{Suffix: suffix, Data: data, Time: time.Now()})
	if err != nil && !errors.Is(err, errNotServed) {
		if !errors.Is(ctx.Err(), context.Canceled) { // the caller gave up: that is no failure of the store
			d.engine.reportFailure(ctx, err)
		}
		return requestError(suffix, err)
	}
	d.engine.reportSuccess(ctx)
	d.log.DebugContext(ctx, "[DB] answered "+string(suffix))
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

// requestError returns the error of a request that got no reply.
func requestError(suffix bus.Suffix, err error) error {
	return fmt.Errorf("requesting %s of the database: %w (%w)", suffix, bus.ErrNoReply, err)
}

// acquire keeps the store open until release. If it is not open, acquire waits for one attempt to open it, but not
// longer than ctx lasts. The attempt goes on then, and a later call finds the store open.
func (d *Direct) acquire(ctx context.Context) error {
	for {
		attempt := d.use()
		if attempt == nil {
			return nil
		}
		select {
		case <-attempt.done:
			if attempt.err != nil {
				return attempt.err
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for the database to be opened: %w", ctx.Err())
		}
	}
}

// use registers a call that uses the open store. If the store is not open, it returns the attempt to open it.
func (d *Direct) use() *opening {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open {
		d.users++
		return nil
	}
	if d.opening == nil {
		d.opening = newOpening()
		select {
		case d.openRequested <- struct{}{}:
		default: // requested already
		}
	}
	return d.opening
}

func (d *Direct) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	d.lastUse = time.Now()
}

// closeUnused closes the store if it is not in use and its last use was at least idle ago. Only the goroutine that
// opens the store may call it.
func (d *Direct) closeUnused(idle time.Duration) error {
	d.mu.Lock()
	unused := d.open && d.users == 0 && time.Since(d.lastUse) >= idle
	if unused {
		d.open = false
	}
	d.mu.Unlock()
	if !unused {
		return nil
	}
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
		f.Log.DebugContext(ctx, "[NATS] answered "+string(suffix))
	}
	if !errors.Is(err, bus.ErrNotConnected) && !errors.Is(err, bus.ErrNoService) {
		return err
	}
	if direct := f.Database.Request(ctx, suffix, in, out); direct != nil {
		return fmt.Errorf("%w; %w", err, direct)
	}
	return nil
}
