package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// lookInterval is how often the service looks whether events have to come another way: a connection that is a new
// one may lead to a server that has a stream.
const lookInterval = 500 * time.Millisecond

// intake is how messages come in: events from the stream or by core NATS, never both, requests always by core NATS.
type intake struct {
	*Service

	store    store.Store
	events   []*nats.Subscription // by core NATS
	requests []*nats.Subscription
}

// run takes messages until ctx ends, and what is on its way then until working ends.
func (i *intake) run(ctx, working context.Context) error {
	for ctx.Err() == nil {
		bound, err := i.binding.Bind(ctx)
		switch {
		case err != nil:
		case bound.Durable():
			err = i.fromStream(ctx, working, bound)
		default:
			err = i.fromCore()
		}
		if subscribing, ok := errors.AsType[*subscribeError](err); ok {
			return subscribing
		}
		i.pause(ctx)
	}
	return nil
}

func (i *intake) pause(ctx context.Context) {
	timer := time.NewTimer(lookInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fromCore subscribes what is not subscribed yet. Events come before requests: whoever finds an answer can rely on
// being heard.
func (i *intake) fromCore() error {
	if i.events == nil {
		events, err := i.subscribe(bus.Events)
		i.events = events
		if err != nil {
			return err
		}
	}
	return i.takeRequests()
}

func (i *intake) takeRequests() (err error) {
	if i.requests != nil {
		return nil
	}
	i.requests, err = i.subscribe(slices.Concat(reports, asked))
	if err != nil {
		return err
	}
	if i.conn.Connected() {
		// "Subscribed" has to mean that the server knows it. If it is away now, it learns it when it is back.
		if err := i.conn.NATS().FlushTimeout(bus.RequestTimeout); err != nil {
			i.log.Warn("[NATS] the server does not confirm the subscriptions", "error", err)
		}
	}
	i.note()
	i.log.Info("[NATS] database service started", "subscriptions", len(i.requests)+len(i.events),
		"prefix", i.subjects.Subject("db"))
	return nil
}

// fromStream consumes the stream until ctx ends or it does not work.
func (i *intake) fromStream(ctx, working context.Context, bound bus.Bound) error {
	i.leave(&i.events) // what comes from the stream must not come twice
	var identity string
	err := i.retry(ctx, func() (err error) {
		identity, err = i.store.Identity(ctx)
		return err
	})
	if err == nil {
		err = i.consume(ctx, working, bound, identity, i.takeRequests)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	conflict, isConflict := errors.AsType[*conflictError](err)
	switch {
	case isConflict:
		// The requests belong to the other database's service too.
		i.leave(&i.requests)
		i.setEvents(&status.Check{Reason: status.ReasonSubjectConflict, Message: conflict.Error()})
	default:
		i.binding.ReportFailure(err)
	}
	return err
}

// subscribeError says that nats.go cannot subscribe, which no waiting mends.
type subscribeError struct {
	subject string
	cause   error
}

func (e *subscribeError) Error() string {
	return fmt.Sprintf("subscribing to %s: %v", e.subject, e.cause)
}
func (e *subscribeError) Unwrap() error { return e.cause }

func (i *intake) subscribe(suffixes []bus.Suffix) (subscriptions []*nats.Subscription, err error) {
	for _, suffix := range suffixes {
		subject := i.subjects.Subject(suffix)
		subscription, err := i.conn.NATS().ChanQueueSubscribe(subject, i.subjects.QueueGroup(), i.inbox.incoming)
		if err != nil {
			return subscriptions, &subscribeError{subject, err}
		}
		subscriptions = append(subscriptions, subscription)
	}
	return subscriptions, nil
}

// note shows what is subscribed to those who ask from outside. Without requests the service does not answer.
func (i *intake) note() {
	if i.requests == nil {
		i.subscribed.Store(nil)
		return
	}
	all := slices.Concat(i.events, i.requests)
	i.subscribed.Store(&all)
}

// leave returns when everything that the server sent us on some subscriptions is in the inbox.
func (i *intake) leave(subscriptions *[]*nats.Subscription) {
	leaving := *subscriptions
	*subscriptions = nil
	i.note()
	for _, subscription := range slices.Backward(leaving) {
		if err := subscription.Drain(); err != nil {
			i.log.Debug("[NATS] cannot unsubscribe", "subject", subscription.Subject, "error", err)
		}
	}
	if len(leaving) == 0 || !i.conn.Connected() {
		return
	}
	// The server's answer comes after the last message of a subscription it has ended.
	if err := i.conn.NATS().FlushTimeout(bus.RequestTimeout); err != nil {
		i.log.Warn("[NATS] messages on their way may be lost: the server does not answer", "error", err)
	}
}

// end leaves everything. What is asked goes first: a bot that finds no answer keeps its messages while those on
// their way still arrive.
func (i *intake) end() {
	i.leave(&i.requests)
	i.leave(&i.events)
}
