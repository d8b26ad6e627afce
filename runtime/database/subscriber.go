package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// bindInterval is the pause after the service could not subscribe, or its stream has failed.
const bindInterval = 500 * time.Millisecond

// requestSubjects are the subjects of requests. They are subscribed in this order.
var requestSubjects = []bus.Suffix{
	bus.OutboundPut, bus.OutboundPutCommand, bus.StatsRecentChat, bus.QueryChannelStats, bus.QueryUserStats,
	bus.KVSet, bus.KVGet, bus.KVDelete, bus.KVList, pluginKVGet, pluginKVSet, pluginKVDelete, pluginKVList, pluginKVAdd,
	bus.MaintenanceRun, bus.DeadList, bus.DeadRetry, bus.DeadDrop,
	bus.QueryUserCounts, bus.QueryChat, bus.QueryUsers, bus.QueryUser, bus.QueryMedia, bus.QueryOutbound,
	bus.QueryRecords, bus.QueryPluginActions,
	bus.OutboundCancel, bus.PeopleExport, bus.PeopleForget,
	bus.OutboundGet, // the last one, because a bot concludes from a reply to it that a service is ready
}

// subscriber subscribes to what the service needs: events in a stream or by core NATS, never both, and requests always
// by core NATS.
type subscriber struct {
	engine   *Engine
	conn     *bus.Conn
	subjects bus.Subjects
	binding  *bus.Binding
	inbox    *inbox
	stream   *streamConsumer
	log      *slog.Logger
	// discovery answers `nats micro`.
	discovery *bus.Discovery

	ready atomic.Bool // the service replies to requests

	mu sync.Mutex
	// events, by core NATS, and requests are nil while not subscribed. Only run changes them.
	events, requests []*nats.Subscription
	// droppedBefore counts the messages that nats.go has dropped of subscriptions that have ended.
	droppedBefore int
}

// run receives messages until ctx ends, and those in transit until working ends. It binds again after each change of
// the connection, since the server may have a stream then.
func (s *subscriber) run(ctx, working context.Context) error {
	wake := s.engine.channels.changed
	defer s.conn.NotifyChange(wake)()
	for ctx.Err() == nil {
		err := s.receive(ctx, working)
		if errors.Is(err, errSubscribing) {
			return err
		}
		pause := bindInterval
		if err == nil {
			pause = max(pause, s.binding.UntilDue())
		}
		backoff.Wait(ctx, pause, wake)
	}
	return nil
}

// receive subscribes to what is not subscribed yet, and consumes the stream if there is one. While another service owns
// the channel it ends all subscriptions: events stay in the stream.
func (s *subscriber) receive(ctx, working context.Context) error {
	ctx, end := s.engine.channels.whileOwned(ctx)
	defer end()
	if ctx.Err() != nil {
		s.unsubscribe()
		return nil
	}
	bound, err := s.binding.Bind(ctx)
	if err != nil {
		return err
	}
	if bound.Durable() {
		return s.fromStream(ctx, working, bound)
	}
	s.engine.setBarrier(nil)
	s.stream.request.Store(nil)
	return s.fromCore()
}

// fromCore subscribes to what is not subscribed yet. Events come before requests: a client that gets a reply
// can rely on its events being received.
func (s *subscriber) fromCore() error {
	if s.events == nil { // only run changes it
		if err := s.subscribeEvents(); err != nil {
			return err
		}
	}
	return s.subscribeRequests()
}

// fromStream consumes the stream until ctx ends or the stream fails.
func (s *subscriber) fromStream(ctx, working context.Context, bound bus.Bound) error {
	s.unsubscribeEvents() // the stream has them too
	var identity string
	err := s.engine.retry(ctx, func() (err error) {
		identity, err = s.engine.store.Identity(ctx)
		return err
	})
	if err == nil {
		err = s.stream.consume(ctx, working, bound, identity, s.subscribeRequests)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, errOtherOwner) {
		s.unsubscribeRequests() // they belong to the service of the other database too
		if s.stream.consuming.Set(false, status.ReasonSubjectConflict, err.Error()) {
			s.log.ErrorContext(ctx, "[NATS] "+err.Error())
		}
		return err
	}
	s.binding.ReportFailure(err)
	return err
}

// errSubscribing means that nats.go cannot subscribe: a subject is malformed or the connection is closed.
var errSubscribing = errors.New("subscribing failed")

// subscribeEvents subscribes to the events by core NATS.
func (s *subscriber) subscribeEvents() error {
	subscriptions, err := s.subscribe(bus.Events)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = subscriptions
	return err
}

// subscribe subscribes to subjects in the queue group. All messages go into one channel, so that they keep their order
// across subjects: a reply to a request also confirms the events before it.
func (s *subscriber) subscribe(suffixes []bus.Suffix) (subscriptions []*nats.Subscription, err error) {
	for _, suffix := range suffixes {
		subject := s.subjects.Subject(suffix)
		subscription, err := s.conn.NATS().ChanQueueSubscribe(subject, s.subjects.QueueGroup(), s.inbox.incoming)
		if err != nil {
			return subscriptions, fmt.Errorf("%w for %s: %w", errSubscribing, subject, err)
		}
		subscriptions = append(subscriptions, subscription)
	}
	return subscriptions, nil
}

// subscribeRequests subscribes to the requests, and to those of `nats micro`, unless that was done.
func (s *subscriber) subscribeRequests() error {
	if s.requests != nil {
		return nil
	}
	subscriptions, err := s.subscribe(requestSubjects)
	s.mu.Lock()
	s.requests = subscriptions
	s.mu.Unlock()
	if err == nil {
		if err = s.discovery.Subscribe(); err != nil {
			err = fmt.Errorf("%w: %w", errSubscribing, err)
		}
	}
	if err != nil {
		return err
	}
	// The service is ready once the server has the subscriptions. If the connection is down, the server gets them when it
	// is back.
	s.flush("the server does not confirm the subscriptions")
	s.ready.Store(true)
	s.log.Info("[NATS] database service started", "prefix", s.subjects.Subject("db"))
	return nil
}

// unsubscribe ends all subscriptions. Requests come first: a bot that gets no reply keeps its events, while those in
// transit still arrive.
func (s *subscriber) unsubscribe() {
	s.unsubscribeRequests()
	s.unsubscribeEvents()
}

func (s *subscriber) unsubscribeRequests() {
	s.ready.Store(false)
	s.discovery.Unsubscribe(s.log)
	s.end(&s.requests, "requests in transit may be lost")
}

func (s *subscriber) unsubscribeEvents() { s.end(&s.events, "events in transit may be lost") }

// end ends subscriptions and returns when everything that the server has sent is in the inbox. failed is logged if that
// cannot be waited for.
func (s *subscriber) end(subscriptions *[]*nats.Subscription, failed string) {
	if *subscriptions == nil {
		return
	}
	s.mu.Lock()
	ended := *subscriptions
	s.droppedBefore += countDropped(ended)
	*subscriptions = nil
	s.mu.Unlock()
	for _, subscription := range slices.Backward(ended) {
		if err := subscription.Drain(); err != nil {
			s.log.Debug("[NATS] cannot unsubscribe", "subject", subscription.Subject, "error", err)
		}
	}
	s.flush(failed)
}

// flush returns when the server has handled what was sent to it, and has sent the last message of each subscription
// that was ended before. failed is logged if it does not respond.
func (s *subscriber) flush(failed string) {
	if !s.conn.Connected() {
		return
	}
	if err := s.conn.NATS().FlushTimeout(bus.RequestTimeout); err != nil {
		s.log.Warn("[NATS] "+failed, "error", err)
	}
}

// dropped returns how many messages were dropped because the inbox was full.
func (s *subscriber) dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.inbox.dropped.Load()) + s.droppedBefore + countDropped(s.events) + countDropped(s.requests)
}

// countDropped returns how many messages nats.go has dropped. A subscription that has ended no longer reports it.
func countDropped(subscriptions []*nats.Subscription) (count int) {
	for _, subscription := range subscriptions {
		if dropped, err := subscription.Dropped(); err == nil {
			count += dropped
		}
	}
	return count
}
