// Package database is the database service: it takes what bots publish, stores it, and answers what
// they ask. Every rule about rows is the store's; this package is only the way between NATS and it.
package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// DefaultGrace is how long storing what has arrived may take at the end.
const DefaultGrace = 20 * time.Second

// DefaultUpkeep is the time between two maintenance runs.
const DefaultUpkeep = 5 * time.Minute

// Options say what a Service works with. Conn, Subjects, Channel, Open and Log are required.
type Options struct {
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Binding says whether events come from a stream. Nil: they do not.
	Binding *bus.Binding
	// Channel is what a message belongs to that names none.
	Channel store.Channel
	// Open opens the store. It is tried until it succeeds.
	Open func(ctx context.Context) (store.Store, error)
	Log  *slog.Logger
	// Grace is how long storing what has arrived may take at the end. 0: DefaultGrace.
	Grace time.Duration
	// Retention is how long rows are kept. Its zero value has defaults; what is below
	// store.MinRetention counts as that.
	Retention store.Retention
	// Upkeep is the time between two maintenance runs. 0: DefaultUpkeep.
	Upkeep time.Duration
	// Registerer gets the service's metrics. Nil: none.
	Registerer prometheus.Registerer
}

// Service answers on the subjects of one prefix.
//
// Everything goes one way in the order of its arrival: NATS, inbox, worker, store. So by core NATS a reply also
// says that whatever its asker published before has been stored; a stream says itself that it keeps it. Only
// maintenance works beside that.
type Service struct {
	conn       *bus.Conn
	subjects   bus.Subjects
	binding    *bus.Binding
	open       func(ctx context.Context) (store.Store, error)
	log        *slog.Logger
	grace      time.Duration
	retention  store.Retention
	upkeep     time.Duration
	inbox      *inbox
	decoder    decoder
	metrics    *metrics
	storeCheck *status.Recorder
	subscribed atomic.Pointer[[]*nats.Subscription] // nil while not subscribed
	held       *held
	events     atomic.Pointer[status.Check] // why no events come from the stream; nil while they do
	lost       atomic.Uint64                // events that the stream lost before they were stored
	lostTo     atomic.Uint64                // the last sequence that lost counts
}

// New makes a service. Nothing happens before Run.
func New(o Options) *Service {
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Upkeep == 0 {
		o.Upkeep = DefaultUpkeep
	}
	s := &Service{
		conn: o.Conn, subjects: o.Subjects, binding: o.Binding, open: o.Open, log: o.Log, grace: o.Grace,
		retention: o.Retention, upkeep: o.Upkeep,
		inbox:      newInbox(),
		held:       newHeld(),
		decoder:    decoder{own: o.Channel, ids: bus.NewIDs(time.Now())},
		storeCheck: status.NewRecorder(status.StoreCheck, "opening the database"),
	}
	s.metrics = newMetrics(o.Registerer, s.inbox.len, s.dropped)
	return s
}

// StoreCheck is the state of the store as status.StoreCheck.
func (s *Service) StoreCheck() status.Check { return s.storeCheck.Check() }

// NATSCheck is the state of the connection and the subscriptions as status.NATSCheck.
func (s *Service) NATSCheck() status.Check {
	check := s.conn.Check()
	if !check.OK || s.subscribed.Load() != nil {
		return check
	}
	if events := s.EventsCheck(); !events.OK && events.Reason != status.ReasonStarting {
		return check // that one says better why
	}
	check.OK, check.Reason = false, status.ReasonStarting
	check.Message = "connected, and not subscribed while the database is not open"
	return check
}

// EventsCheck is how events come as status.EventsCheck.
func (s *Service) EventsCheck() status.Check {
	check := s.binding.Check()
	if trouble := s.events.Load(); check.OK && trouble != nil {
		return *trouble
	}
	if lost := s.lost.Load(); check.OK && lost > 0 {
		check.Message += fmt.Sprintf("; %d events were lost before that, since the stream kept no more", lost)
	}
	return check
}

// setEvents notes why no events come from the stream, with one log line for each change. Nil: they come.
func (s *Service) setEvents(trouble *status.Check) {
	before := s.events.Load()
	if trouble == nil {
		s.events.Store(nil)
		return
	}
	trouble.Name, trouble.Since = status.EventsCheck, time.Now()
	if before != nil && before.Reason == trouble.Reason {
		trouble.Since = before.Since
	} else {
		s.log.Error("[NATS] " + trouble.Message)
	}
	s.events.Store(trouble)
}

// Run opens the store, subscribes and works until ctx ends. Then it stores what has arrived, for at
// most Grace, and closes the store. An error says that the connection to NATS ended for good, or that
// something that had arrived could not be stored.
func (s *Service) Run(ctx context.Context) error {
	// Subscribing waits for the store: a service that cannot store must not take its share of the
	// messages from one that can, and a bot keeps what nobody takes.
	opened := s.openStore(ctx)
	if opened == nil {
		return nil
	}
	working, stop := outlive(ctx, s.grace)
	defer stop()
	err := s.serve(ctx, working, opened)
	s.storeCheck.Set(false, status.ReasonStopping, "the service stops")
	if closing := opened.Close(); closing != nil {
		err = errors.Join(err, closing)
	}
	s.log.Info("[DB] database closed")
	return err
}

// serve takes messages until ctx ends and works on them until all are done or working ends.
func (s *Service) serve(ctx, working context.Context, opened store.Store) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.inbox.receive(working) })
	maintenance := newMaintenance(s, opened)
	maintaining, endMaintenance := context.WithCancel(ctx)
	defer endMaintenance()
	running.Go(func() { maintenance.run(maintaining) })
	worker := worker{Service: s, store: opened, maintenance: maintenance, repeats: newRepeats()}
	worked := make(chan error, 1)
	running.Go(func() { worked <- worker.run(working) })

	keeping, endKeeping := context.WithCancel(working)
	defer endKeeping()
	running.Go(func() { s.held.keepAlive(keeping) })
	err := s.takeIn(ctx, working, opened)
	s.inbox.noMore()
	err = errors.Join(err, <-worked)
	if back := s.held.giveBack(); back > 0 {
		s.log.Warn("[NATS] events that could not be stored stay in the stream", "count", back)
	}
	return err
}

// takeIn has messages come in until ctx ends or the connection to NATS has ended for good.
func (s *Service) takeIn(ctx, working context.Context, opened store.Store) error {
	taking, stop := context.WithCancel(ctx)
	defer stop()
	in := &intake{Service: s, store: opened}
	taken := make(chan error, 1)
	go func() { taken <- in.run(taking, working) }()
	var err error
	select {
	case <-s.conn.Closed():
		err = errors.New("the connection to NATS ended for good: " + s.conn.Check().Message)
		stop()
		err = errors.Join(err, <-taken)
	case err = <-taken: // ctx has ended too, or it cannot subscribe
	}
	in.end()
	return err
}

// dropped counts what nats.go dropped because the inbox was full.
func (s *Service) dropped() (count int) {
	subscriptions := s.subscribed.Load()
	if subscriptions == nil {
		return 0
	}
	for _, subscription := range *subscriptions {
		if dropped, err := subscription.Dropped(); err == nil {
			count += dropped
		}
	}
	return count
}

// outlive is a context that ends when grace has passed after ctx ended.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { unwatch(); cancel() }
}
