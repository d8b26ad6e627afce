package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// DefaultIdle is how long a database that is opened on demand stays open after its last use.
const DefaultIdle = time.Minute

// DirectOptions say what a Direct works with. Channel, Open and Log are required.
type DirectOptions struct {
	// Channel is what a message belongs to that names none.
	Channel store.Channel
	// Open opens the store. It is tried until it succeeds.
	Open func(ctx context.Context) (store.Store, error)
	Log  *slog.Logger
	// Retention and Upkeep are as in Options.
	Retention store.Retention
	Upkeep    time.Duration
	// Idle is for RunOnDemand. 0: DefaultIdle.
	Idle time.Duration
	// Registerer gets the metrics. Nil: none.
	Registerer prometheus.Registerer
}

// Direct is a database in the bot's own process. What the bot tells and asks goes through the decoder and
// the worker of a Service, so that every rule is the same, and NATS has no part in it.
//
// Its Store is a publisher.Storer, and its Request that of a bot.Requester.
type Direct struct {
	core *Service // without connection and inbox
	idle time.Duration

	// changing is held while the store is opened or closed.
	changing chan struct{}
	mu       sync.Mutex
	opened   store.Store // nil while closed
	users    int         // of opened
	used     time.Time   // when the last of them had done
}

// NewDirect makes a database. It is not opened before Run or its first use.
func NewDirect(o DirectOptions) *Direct {
	if o.Upkeep == 0 {
		o.Upkeep = DefaultUpkeep
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	nothing := func() int { return 0 } // what waits is in the publisher's buffer
	core := &Service{
		open: o.Open, log: o.Log, retention: o.Retention, upkeep: o.Upkeep,
		decoder:    decoder{own: o.Channel, ids: bus.NewIDs(time.Now())},
		metrics:    newMetrics(o.Registerer, nothing, nothing),
		storeCheck: status.NewRecorder(status.StoreCheck, "opening the database"),
	}
	return &Direct{core: core, idle: o.Idle, changing: make(chan struct{}, 1)}
}

// StoreCheck is the state of the store as status.StoreCheck.
func (d *Direct) StoreCheck() status.Check { return d.core.storeCheck.Check() }

// Run keeps the store open and in order until ctx ends, and then closes it. Nothing may use it any more
// by then.
func (d *Direct) Run(ctx context.Context) error {
	var opened store.Store
	err := d.core.retry(ctx, func() (err error) {
		opened, err = d.acquire(ctx)
		return err
	})
	if err == nil {
		newMaintenance(d.core, opened).run(ctx)
		d.release()
	}
	d.core.storeCheck.Set(false, status.ReasonStopping, "the bot stops")
	return d.close()
}

// RunOnDemand closes the store when nobody has used it for a while, and when ctx ends. Nothing may use it
// any more by then. Maintenance is the business of others.
func (d *Direct) RunOnDemand(ctx context.Context) error {
	ticker := time.NewTicker(d.idle / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return d.close()
		case <-ticker.C:
		}
		if !d.isIdle() {
			continue
		}
		if err := d.close(); err != nil {
			d.core.log.Warn("[DB] closing the database", "error", err)
		}
	}
}

// Store stores messages. It waits for a store that is open and away until ctx ends.
func (d *Direct) Store(ctx context.Context, messages []bus.Message) error {
	opened, err := d.acquire(ctx)
	if err != nil {
		d.core.storeFails(err)
		return fmt.Errorf("opening the database: %w", err)
	}
	defer d.release()
	batch := make([]arrival, 0, len(messages))
	for _, m := range messages {
		one := d.arrival(m.Suffix, m.Data)
		one.Header = nats.Header{bus.MsgIDHeader: {m.ID}}
		batch = append(batch, one)
	}
	if err := d.worker(opened).handle(ctx, batch); err != nil {
		return fmt.Errorf("storing %d messages: %w", len(batch), err)
	}
	return nil
}

// Request answers what a Service would answer over NATS, within the same time.
func (d *Direct) Request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, bus.RequestTimeout)
	defer cancel()
	question, known := questions[suffix]
	if !known || suffix == bus.MaintenanceRun { // which Run does by itself
		return fmt.Errorf("requesting %s: %w", suffix, bus.ErrNoService)
	}
	data, err := bus.Encode(in)
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", suffix, err)
	}
	opened, err := d.acquire(ctx)
	if err != nil {
		return d.unanswered(suffix, err)
	}
	defer d.release()
	asked := d.arrival(suffix, data)
	asked.Reply = "this process"
	reply, err := d.worker(opened).ask(ctx, suffix, asked, question)
	if err != nil {
		return d.unanswered(suffix, err)
	}
	d.core.storeWorks()
	d.core.log.Debug("[DB] answered " + string(suffix))
	if data, err = bus.Encode(reply); err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return fmt.Errorf("decoding the reply to %s: %w", suffix, err)
	}
	return nil
}

// unanswered is in a requester's terms: who asks has no reply.
func (d *Direct) unanswered(suffix bus.Suffix, err error) error {
	if !errors.Is(err, context.Canceled) {
		d.core.storeFails(err)
	}
	return fmt.Errorf("requesting %s of the database: %w (%w)", suffix, bus.ErrNoReply, err)
}

func (d *Direct) arrival(suffix bus.Suffix, data []byte) arrival {
	return arrival{Msg: &nats.Msg{Subject: d.core.subjects.Subject(suffix), Data: data}, at: time.Now()}
}

func (d *Direct) worker(opened store.Store) *worker {
	return &worker{Service: d.core, store: opened, repeats: newRepeats()}
}

// way marks in the log what a message came by.
func (s *Service) way() string {
	if s.conn == nil {
		return "[DB] "
	}
	return "[NATS] "
}
