package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

const (
	// defaultGracePeriod is how long storing what has arrived may take at the end.
	defaultGracePeriod = 18 * time.Second
	// maxBatch bounds the events of one transaction.
	maxBatch = 500
	// defaultMaxRequestAge is how long a request may have waited when its turn comes. A client that still waits then is
	// an exception: ours wait for bus.RequestTimeout. Without a bound, a flood of requests would keep events from being
	// stored until the last of them was answered, and nobody would read the replies.
	defaultMaxRequestAge = 5 * time.Second
	// replyOverhead is the size of a reply without its rows: headers and the brackets of the array.
	replyOverhead = 1024
)

// ServiceOptions configure a Service. Conn, Subjects and what EngineOptions requires are required.
type ServiceOptions struct {
	EngineOptions

	Conn     *bus.Conn
	Subjects bus.Subjects
	// Binding decides whether events come from a stream. Nil: they do not.
	Binding *bus.Binding
	// Provenance says where the database comes from, for which a service may take over the stream of one that is gone. It
	// is called again while the stream belongs to another database. Nil: nothing is known.
	Provenance func() Provenance
	// Version is what `nats micro ls` shows.
	Version string
	// GracePeriod is how long Run may take at its end to store what has arrived. 0: 18 s, since Kubernetes gives a pod
	// 30 s to end.
	GracePeriod time.Duration
	// Handling is called before each batch of messages by one goroutine, with their number and whether something is done
	// beside it that takes long: a query, a request about people, or maintenance. Nil: nobody wants to know.
	Handling func(messages int, beside bool)

	maxRequestAge time.Duration // 0: defaultMaxRequestAge
	// 0: the constants of the same names
	abandonedAfter, absentAfter, backlogInterval time.Duration
}

// Service is the database service of one subject prefix: an Engine behind NATS.
type Service struct {
	engine     *Engine
	conn       *bus.Conn
	binding    *bus.Binding
	log        *slog.Logger
	grace      time.Duration
	inbox      *inbox
	inFlight   *inFlight
	stream     *streamConsumer
	subscriber *subscriber
	handling   func(messages int, beside bool)
	beside     atomic.Int32  // requests that are answered beside the batches
	messages   []bus.Message // of the batch that the worker stores; reused
	maxAge     time.Duration // of a request
	expired    logLimit
	coreOnly   *status.Recorder // the check of events without a binding
}

// NewService returns a service that does nothing before Run.
func NewService(o ServiceOptions) *Service {
	s := &Service{
		engine: NewEngine(o.EngineOptions),
		conn:   o.Conn, binding: o.Binding, log: o.Log,
		grace:    cmp.Or(o.GracePeriod, defaultGracePeriod),
		maxAge:   cmp.Or(o.maxRequestAge, defaultMaxRequestAge),
		inFlight: newInFlight(),
		handling: o.Handling,
		coreOnly: status.NewRecorder(status.EventsCheck, ""),
	}
	if s.handling == nil {
		s.handling = func(int, bool) {}
	}
	s.engine.announceLine = s.announceLine
	s.inbox = newInbox(o.Subjects, s.engine.metrics, o.Log)
	s.stream = &streamConsumer{
		engine: s.engine, conn: o.Conn, subjects: o.Subjects, binding: o.Binding, inbox: s.inbox, inFlight: s.inFlight,
		log:       o.Log,
		consuming: status.NewRecorder(status.EventsCheck, ""),
		interval:  cmp.Or(o.backlogInterval, backlogInterval),
	}
	s.stream.owner = newStreamOwner(o, s.engine)
	s.stream.consuming.Set(true, status.ReasonStreamBound, "")
	s.coreOnly.Set(true, status.ReasonCoreOnly, "events are not durable: core NATS alone")
	s.subscriber = &subscriber{
		engine: s.engine, conn: o.Conn, subjects: o.Subjects, binding: o.Binding,
		inbox: s.inbox, stream: s.stream, discovery: newDiscovery(o), log: o.Log,
	}
	s.stream.metrics = newServiceMetrics(o.Registerer, s.inbox.len, s.subscriber.dropped)
	return s
}

// StoreCheck returns the state of the store as status.StoreCheck.
func (s *Service) StoreCheck() status.Check { return s.engine.StoreCheck() }

// NATSCheck returns the state of the connection and of the subscriptions as status.NATSCheck.
func (s *Service) NATSCheck() status.Check {
	check := s.conn.Check()
	if !check.OK || s.subscriber.ready.Load() {
		return check
	}
	if events := s.EventsCheck(); !events.OK && events.Reason != status.ReasonStarting {
		return check // EventsCheck has the cause
	}
	check.OK, check.Reason = false, status.ReasonStarting
	check.Message = "connected, and not subscribed while the database is not open"
	return check
}

// EventsCheck returns the state of the delivery of events as status.EventsCheck.
func (s *Service) EventsCheck() status.Check {
	if s.binding == nil {
		return s.coreOnly.Check()
	}
	check := s.binding.Check()
	if consuming := s.stream.consuming.Check(); check.OK && !consuming.OK {
		return consuming
	}
	if check.OK {
		check = s.stream.withRequest(check)
	}
	if lost := s.stream.lost.Load(); check.OK && lost > 0 {
		check.Message += fmt.Sprintf("; %d events were lost before they were stored: the stream was at its limits", lost)
	}
	return check
}

// LastBackup returns when the newest backup was made. Zero: there is none.
func (s *Service) LastBackup() time.Time { return s.engine.LastBackup() }

// StreamWaiting returns how many events are in the stream that are not stored yet, as of some seconds ago. Nil: the
// service takes its events from no stream, or has not read the state of the stream yet.
func (s *Service) StreamWaiting() *uint64 { return s.stream.waiting.Load() }

// Channels returns the names of the channels that the service serves, as status.ChannelName makes them.
func (s *Service) Channels() []string { return s.engine.channels.current.Load().names() }

// RefusedChannels returns why channels of the list are not served, by their names.
func (s *Service) RefusedChannels() map[string]string {
	return maps.Clone(s.engine.channels.current.Load().refused)
}

// Run opens the store, subscribes and works until ctx ends. Then it stores what has arrived, for at most the grace
// period, and closes the store. An error means that the connection to NATS is closed, or that something that had
// arrived could not be stored.
func (s *Service) Run(ctx context.Context) error {
	// The store is opened before the subscriptions. A service that cannot store must not take messages from one that can,
	// and bots keep their events until a service replies.
	if s.engine.Open(ctx) != nil {
		return nil //nolint:nilerr // ctx ended before the store was open, so nothing was taken
	}
	err := s.serve(ctx)
	s.engine.reportStopping("the service stops")
	return errors.Join(err, s.engine.Close())
}

// serve takes messages until ctx ends, and handles them until all are handled or the grace period has passed.
func (s *Service) serve(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	running.Go(func() {
		select {
		case <-ctx.Done():
			backoff.Sleep(working, s.grace)
			endWork()
		case <-working.Done():
		}
	})
	running.Go(func() { s.inbox.receive(working) })
	maintaining, endMaintenance := context.WithCancel(ctx)
	defer endMaintenance()
	running.Go(func() { s.engine.Maintain(maintaining) })
	running.Go(func() { s.engine.watchChannels(maintaining) })
	running.Go(func() { s.engine.watchStore(maintaining) })
	worked := make(chan error, 1)
	running.Go(func() { worked <- s.work(working, maintaining) })
	keepingAlive, stopKeepAlive := context.WithCancel(working)
	defer stopKeepAlive()
	running.Go(func() { s.inFlight.keepAlive(keepingAlive) })

	err := s.subscribe(ctx, working)
	s.inbox.close()
	err = errors.Join(err, <-worked)
	if count := s.inFlight.nakUnstored(); count > 0 {
		s.log.WarnContext(ctx, "[NATS] events that could not be stored stay in the stream", "count", count)
	}
	return err
}

// subscribe receives messages until ctx ends or the connection to NATS is closed and will not reconnect.
func (s *Service) subscribe(ctx, working context.Context) error {
	subscribing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.subscriber.run(subscribing, working) }()
	var err error
	select {
	case <-s.conn.Closed():
		err = errors.New("the connection to NATS is closed: " + s.conn.Check().Message)
		stop()
		err = errors.Join(err, <-ended)
	case err = <-ended: // ctx has ended too, or nats.go cannot subscribe
	}
	s.subscriber.unsubscribe()
	return err
}

// work handles what arrives until the inbox is closed and empty. It fails when ctx ends before.
func (s *Service) work(ctx, maintaining context.Context) error {
	var beside sync.WaitGroup // what is done beside the batches
	defer beside.Wait()
	room := make([]arrival, 0, maxBatch)
	for {
		batch := s.inbox.next(room)
		if len(batch) == 0 {
			return nil
		}
		s.handling(len(batch), s.worksBeside(batch))
		if err := s.handle(ctx, maintaining, &beside, batch); err != nil {
			lost := countLost(batch) + s.inbox.discard()
			if lost == 0 {
				return nil // the stream still has all events
			}
			return fmt.Errorf("up to %d messages that had arrived are lost: %w", lost, err)
		}
		clear(batch) // so that the messages can be collected while the service waits for others
	}
}

// handle stores the events of a batch in as few transactions as the requests between them allow: a reply also confirms
// that what came before the request is stored.
func (s *Service) handle(
	ctx, maintaining context.Context, beside *sync.WaitGroup, batch []arrival,
) error {
	first := 0
	for at, one := range batch {
		if one.respond == nil {
			continue
		}
		if err := s.store(ctx, batch[first:at]); err != nil {
			return err
		}
		first = at + 1
		if s.dropExpired(one.message) {
			continue
		}
		if takesLong(one.message.Suffix) { // nothing must wait for it
			s.beside.Add(1)
			beside.Go(func() {
				defer s.beside.Add(-1)
				_ = s.answer(maintaining, one) // it fails when the service ends: the client has no reply and tries again
			})
			continue
		}
		if err := s.answer(ctx, one); err != nil {
			return err
		}
	}
	return s.store(ctx, batch[first:])
}

// worksBeside reports whether something that takes long is done beside a batch.
func (s *Service) worksBeside(batch []arrival) bool {
	return s.beside.Load() > 0 || len(s.engine.maintenance.running) > 0 || s.engine.queries.times.isCounting() ||
		slices.ContainsFunc(batch, func(one arrival) bool { return one.respond != nil && takesLong(one.message.Suffix) })
}

// takesLong reports whether a request may take longer than storing a batch.
func takesLong(suffix bus.Suffix) bool {
	return suffix == bus.MaintenanceRun || suffix == bus.PeopleExport || suffix == bus.PeopleForget ||
		slices.Contains(bus.Queries, suffix) && suffix != bus.QueryChannelStats && suffix != bus.QueryUserStats
}

// dropExpired reports whether a request has waited for too long, and counts it. A report on an outbound line is stored
// however late it is.
func (s *Service) dropExpired(request bus.Message) bool {
	if factDecoders[request.Suffix] != nil || time.Since(request.Time) < s.maxAge {
		return false
	}
	s.engine.metrics.count(request.Suffix, outcomeExpired, request.Time)
	if s.expired.due(time.Now()) {
		s.log.Warn("[DB] dropped requests whose turn came too late; others are only counted for a minute",
			"subject", request.Suffix, "waited", time.Since(request.Time).Round(time.Millisecond))
	}
	return true
}

// store stores events and acknowledges those of the stream.
func (s *Service) store(ctx context.Context, events []arrival) error {
	if len(events) == 0 {
		return nil
	}
	defer func() { clear(s.messages); s.messages = s.messages[:0] }()
	for i := range events {
		s.messages = append(s.messages, events[i].message)
	}
	ctx, span := startBatch(ctx, &s.subscriber.subjects, s.messages)
	defer span.End()
	if err := s.engine.Store(ctx, s.messages); err != nil {
		return err
	}
	settling := startSettle(ctx, events)
	s.inFlight.acknowledge(events)
	settling.End()
	for i := range events {
		if events[i].stored != nil {
			events[i].stored()
		}
	}
	return nil
}

// headerOf returns the headers of a reply, or nil.
func headerOf(reply any) nats.Header {
	if reply, ok := reply.(bus.HeaderWriter); ok {
		return reply.Header()
	}
	return nil
}

// announceLine tells the bot of a channel that a line waits. It is best effort: a bot that misses it polls.
func (s *Service) announceLine(ctx context.Context, channel store.Channel) {
	subject := s.subscriber.subjects.OutboundWaiting(channel.Name)
	data, err := bus.Encode(bus.Origin{Server: channel.Server, Channel: channel.Name})
	if err == nil {
		err = s.conn.NATS().Publish(subject, data)
	}
	if err != nil {
		s.log.DebugContext(ctx, "[NATS] cannot announce a line", "subject", subject, "error", err)
	}
}

// answer replies to a request. It returns an error only if ctx ended before there was anything to reply.
func (s *Service) answer(ctx context.Context, one arrival) error {
	ctx, span := startAnswer(ctx, s.subscriber.subjects, one.message)
	reply, refused, err := s.engine.answer(ctx, Request{
		Suffix: one.message.Suffix, Data: one.message.Data, Time: one.message.Time,
		MaxReply: int(s.conn.NATS().MaxPayload()) - replyOverhead, plugin: one.plugin,
	})
	failure := answerFailureOf(refused, err)
	defer func() { endAnswer(span, failure) }()
	if err != nil && reply == nil {
		return err
	}
	header := headerOf(reply)
	if errors.Is(err, errNotServed) { // a reply that is an array cannot say so
		header, err = nats.Header{bus.RefusedHeader: {err.Error()}}, nil
	}
	if err != nil {
		s.log.ErrorContext(ctx, "[DB] a request failed", "error", err)
	}
	unanswered := ""
	if err != nil {
		unanswered = errUnavailable // the log has the cause
	}
	s.subscriber.discovery.Count(s.subscriber.subjects.Subject(one.message.Suffix), one.message.Time, unanswered)
	data, err := bus.Encode(reply)
	if err == nil {
		err = one.respond(data, header)
	}
	if err != nil {
		failure = answerNotSent
		s.log.ErrorContext(ctx, "[NATS] cannot reply to "+string(one.message.Suffix), "error", err)
	}
	return nil
}
