package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// ownerKey is the key in the metadata of stream and consumer whose value is the ID of the database that the events
// belong to.
const ownerKey = "rosey.dev/database"

// errOtherOwner means that the events belong to another database.
var errOtherOwner = errors.New("two databases cannot share a subject prefix")

// streamOwner keeps the events of a stream for one database, and takes them over from one that is gone.
type streamOwner struct {
	engine     *Engine
	provenance func() Provenance // of the database of engine
	log        *slog.Logger
	// abandonedAfter and absentAfter are the constants, except in tests.
	abandonedAfter, absentAfter time.Duration

	seen activity // of the consumer while the events belong to another database
}

func newStreamOwner(o ServiceOptions, engine *Engine) *streamOwner {
	owner := &streamOwner{
		engine: engine, provenance: o.Provenance, log: o.Log,
		abandonedAfter: cmp.Or(o.abandonedAfter, abandonedAfter), absentAfter: cmp.Or(o.absentAfter, absentAfter),
	}
	if owner.provenance == nil {
		owner.provenance = func() Provenance { return Provenance{} }
	}
	return owner
}

// consumerRequest is an attempt to consume a stream for a database.
type consumerRequest struct {
	bound  bus.Bound
	name   string // of the consumer
	own    owner
	manual bool // an administrator makes the objects and writes their metadata

	stream   *jetstream.StreamInfo
	consumer jetstream.Consumer // nil: there is none
	// guarded: another database would be noticed, because the ID of the own one is in the metadata.
	guarded bool
	// refused are the changes that the server does not make to objects that work, and why.
	refused []string
}

// request finds or creates the durable consumer of the own database, which update brings up to date. The error is a
// conflict if the events belong to another database.
func (o *streamOwner) request(ctx context.Context, r *consumerRequest) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	if r.manual {
		if err := r.checkProvided(); err != nil {
			return err
		}
	}
	current, other := r.otherOwner()
	switch {
	case other:
		if err := o.takeOver(ctx, r, current); err != nil {
			return err
		}
	case !r.manual:
		if err := r.ensure(ctx); err != nil {
			return err
		}
	}
	owners := []string{r.stream.Config.Metadata[ownerKey], r.consumer.CachedInfo().Config.Metadata[ownerKey]}
	r.guarded = slices.Contains(owners, r.own.database)
	return nil
}

// read reads stream and consumer.
func (r *consumerRequest) read(ctx context.Context) (err error) {
	if r.stream, err = r.bound.Stream.Info(ctx); err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	r.consumer, err = r.bound.Stream.Consumer(ctx, r.name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("reading the consumer %s: %w", r.name, err)
	}
	return nil
}

// checkProvided returns an error if the consumer that an administrator creates is absent or cannot be used.
func (r *consumerRequest) checkProvided() error {
	if r.consumer == nil {
		return &bus.StreamError{Reason: status.ReasonJetStreamMissing, Message: fmt.Sprintf(
			"the consumer %s of the stream %s does not exist, and nats.jetStream.provisioning is manual: "+
				"an administrator has to create it, for example with rosey nats create", r.name, r.stream.Config.Name)}
	}
	return checkConsumer(r.consumer.CachedInfo())
}

// checkConsumer returns an error if a consumer has settings with which it does not deliver every event, or not to a
// service.
func checkConsumer(info *jetstream.ConsumerInfo) error {
	has := info.Config
	if has.AckPolicy != jetstream.AckExplicitPolicy || has.DeliverSubject != "" ||
		has.FilterSubject != "" || len(has.FilterSubjects) > 0 {
		return &bus.StreamError{Reason: status.ReasonStreamMismatch, Message: fmt.Sprintf(
			"the consumer %s of the stream %s cannot be used: expected explicit acknowledgement, "+
				"no deliver subject and no filter", info.Name, info.Stream)}
	}
	return nil
}

// otherOwner returns the database that the events belong to if it is another one. The stream's metadata keep the owner
// when the consumer is removed.
func (r *consumerRequest) otherOwner() (current owner, other bool) {
	all := []map[string]string{r.stream.Config.Metadata}
	if r.consumer != nil {
		all = append(all, r.consumer.CachedInfo().Config.Metadata)
	}
	for _, metadata := range all {
		if current := ownerOf(metadata); current.isOther(r.own.database) {
			return current, true
		}
	}
	return owner{}, false
}

// takeOver makes the events of another database those of the own one, or returns a conflict.
func (o *streamOwner) takeOver(ctx context.Context, r *consumerRequest, current owner) error {
	found := conflict{
		stream: r.stream.Config.Name, created: r.stream.Created, current: current, own: r.own, manual: r.manual,
		abandonedDelay: o.abandonedAfter, requestedDelay: o.absentAfter,
	}
	if r.consumer != nil {
		found.consumer = r.consumer.CachedInfo()
	}
	now := time.Now()
	found.since = o.seen.observe(found.consumer, now)
	err := o.engine.retry(ctx, func() (err error) {
		found.empty, err = o.engine.store.Empty(ctx)
		return err
	})
	if err != nil {
		return err
	}
	taken, replay := found.mayTakeOver(now)
	if !taken {
		return found
	}
	if err := o.begin(ctx, found, replay); err != nil {
		return err
	}
	if err := r.replaceOwner(ctx); err != nil {
		return err
	}
	o.log.WarnContext(ctx, "[NATS] this database takes over the events of another one", "stream", found.stream,
		"from", current.describe(), "replay", replay)
	o.seen = activity{}
	return nil
}

// begin records where the own database begins: behind what the old one had stored, so that rows which were removed
// there do not come back, or at the beginning.
func (o *streamOwner) begin(ctx context.Context, found conflict, replay bool) error {
	position := store.StreamPosition{Stream: found.stream, Created: found.created}
	if !replay {
		position.Sequence = found.consumer.AckFloor.Stream
	}
	return o.engine.retry(ctx, func() error { return o.engine.store.AdvanceStream(ctx, position) })
}

// replaceOwner writes the own database into the consumer, which keeps its state. Without one, a new one is created.
func (r *consumerRequest) replaceOwner(ctx context.Context) (err error) {
	wanted := consumerConfig(r.name, r.own)
	if r.consumer == nil {
		return r.ensure(ctx)
	}
	if r.consumer, err = r.bound.Stream.UpdateConsumer(ctx, wanted); err != nil {
		return fmt.Errorf("taking over the consumer %s: %w", r.name, err)
	}
	return nil
}

// ensure creates the consumer unless it exists. If several services try this at the same time, one of them wins:
// JetStream creates a consumer of a name only once, and the owner is a part of it.
func (r *consumerRequest) ensure(ctx context.Context) (err error) {
	if r.consumer == nil {
		r.consumer, err = r.bound.Stream.CreateConsumer(ctx, consumerConfig(r.name, r.own))
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, jetstream.ErrConsumerExists):
			return fmt.Errorf("creating the consumer %s: %w", r.name, err)
		}
		if err = r.read(ctx); err != nil {
			return err
		}
		if current, other := r.otherOwner(); other { // another service was faster
			return conflict{stream: r.stream.Config.Name, current: current, own: r.own}
		}
	}
	return r.checkProvided()
}

// update brings consumer and metadata up to date, unless an administrator does. What the server refuses stays as it is.
func (r *consumerRequest) update(ctx context.Context, conn *bus.Conn) error {
	if r.manual {
		return nil
	}
	has, wanted := r.consumer.CachedInfo().Config, consumerConfig(r.name, r.own)
	if _, changed := r.own.addTo(has.Metadata); changed || !hasSettings(has, wanted) {
		err := r.change(ctx, conn, "updating the consumer "+r.name, func(ctx context.Context) error {
			updated, err := r.bound.Stream.UpdateConsumer(ctx, wanted)
			if err == nil {
				r.consumer, r.guarded = updated, true
			}
			return err //nolint:wrapcheck // change says what was attempted
		})
		if err != nil {
			return err
		}
	}
	// The stream's metadata keep the owner when the consumer is removed.
	metadata, changed := r.own.addTo(r.stream.Config.Metadata)
	if !changed {
		return nil
	}
	updated := r.stream.Config
	updated.Metadata = metadata
	return r.change(ctx, conn, "writing the database's ID into the stream", func(ctx context.Context) error {
		_, err := r.bound.JetStream.UpdateStream(ctx, updated)
		r.guarded = r.guarded || err == nil
		return err //nolint:wrapcheck // change says what was attempted
	})
}

// change makes a change to an object that works. It is no error if the server refuses that.
func (r *consumerRequest) change(
	ctx context.Context, conn *bus.Conn, attempted string, send func(ctx context.Context) error,
) error {
	err := conn.Do(ctx, bus.RequestTimeout, r.stream.Config.Name, send)
	if cause, refused := bus.RefusalOf(ctx, err); refused {
		r.refused = append(r.refused, attempted+": "+cause)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", attempted, err)
	}
	return nil
}

// hasSettings reports whether a consumer is as wanted, without its metadata.
func hasSettings(has, wanted jetstream.ConsumerConfig) bool {
	return has.AckWait == wanted.AckWait && has.MaxDeliver == wanted.MaxDeliver &&
		has.MaxAckPending == wanted.MaxAckPending && has.Description == wanted.Description
}

// CreateConsumer creates the durable consumer of the database services in a stream, or brings an existing one up to
// date. An owner that it has stays the same.
func CreateConsumer(ctx context.Context, stream jetstream.Stream, subjects bus.Subjects) (bus.Change, error) {
	wanted := consumerConfig(subjects.ConsumerName(), owner{})
	existing, err := stream.Consumer(ctx, wanted.Durable)
	change := bus.Updated
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		change = bus.Created
	case err != nil:
		return "", fmt.Errorf("reading the consumer %s: %w", wanted.Durable, err)
	default:
		has := existing.CachedInfo().Config
		wanted.Metadata = has.Metadata
		if hasSettings(has, wanted) {
			return bus.Unchanged, nil
		}
	}
	if _, err := stream.CreateOrUpdateConsumer(ctx, wanted); err != nil {
		return "", fmt.Errorf("creating the consumer %s: %w", wanted.Durable, err)
	}
	return change, nil
}

// consumerConfig returns the configuration of the consumer. A zero owner adds no metadata.
func consumerConfig(name string, by owner) jetstream.ConsumerConfig {
	metadata, _ := by.addTo(nil)
	return jetstream.ConsumerConfig{
		Durable:       name,
		Description:   "Shared by the database services of Rosey",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1, // deliveries while the store is not available must not count
		MaxAckPending: 20 * maxInFlight,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		Metadata:      metadata,
	}
}
