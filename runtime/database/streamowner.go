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

// ownerKey is the key in the metadata of stream and consumer whose value is the UUID of the database that the events
// belong to.
const ownerKey = "rosey.dev/database"

// errOtherOwner means that the events belong to another database.
var errOtherOwner = errors.New("two databases cannot share a subject prefix")

// streamOwner keeps the events of a stream for one database, and takes them over from one that is gone.
type streamOwner struct {
	engine *Engine
	origin func() Origin // of the database of engine
	log    *slog.Logger
	// abandonedAfter and absentAfter are the constants, except in tests.
	abandonedAfter, absentAfter time.Duration

	seen activity // of the consumer while the events belong to another database
}

func newStreamOwner(o ServiceOptions, engine *Engine) *streamOwner {
	owner := &streamOwner{
		engine: engine, origin: o.Origin, log: o.Log,
		abandonedAfter: cmp.Or(o.abandonedAfter, abandonedAfter), absentAfter: cmp.Or(o.absentAfter, absentAfter),
	}
	if owner.origin == nil {
		owner.origin = func() Origin { return Origin{} }
	}
	return owner
}

// claim is an attempt to consume a stream for the database with the UUID own.
type claim struct {
	bound  bus.Bound
	name   string // of the consumer
	own    owner
	manual bool // an administrator makes the objects and writes their metadata

	stream   *jetstream.StreamInfo
	consumer jetstream.Consumer // nil: there is none
}

// consumer returns the durable consumer of the database with the UUID own. guarded reports whether another database
// would be noticed: that is so unless an administrator creates the objects and has not written the UUID into them. The
// error is a conflict if the events belong to another database.
func (o *streamOwner) consumer(
	ctx context.Context, bound bus.Bound, name, own string, manual bool,
) (consumer jetstream.Consumer, guarded bool, err error) {
	c := claim{bound: bound, name: name, own: owner{own, o.origin()}, manual: manual}
	if err := c.read(ctx); err != nil {
		return nil, false, err
	}
	if manual {
		if err := c.checkProvided(); err != nil {
			return nil, false, err
		}
	}
	if held, other := c.otherOwner(); other {
		err = o.takeOver(ctx, &c, held)
	} else if !manual {
		err = c.ensure(ctx)
	}
	if err != nil {
		return nil, false, err
	}
	if manual {
		owners := []string{c.stream.Config.Metadata[ownerKey], c.consumer.CachedInfo().Config.Metadata[ownerKey]}
		return c.consumer, slices.Contains(owners, own), nil
	}
	return c.consumer, true, c.writeMetadata(ctx)
}

// read reads stream and consumer.
func (c *claim) read(ctx context.Context) (err error) {
	if c.stream, err = c.bound.Stream.Info(ctx); err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	c.consumer, err = c.bound.Stream.Consumer(ctx, c.name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("reading the consumer %s: %w", c.name, err)
	}
	return nil
}

// checkProvided returns an error if the consumer that an administrator creates is absent or cannot be used.
func (c *claim) checkProvided() error {
	if c.consumer == nil {
		return &bus.StreamError{Reason: status.ReasonJetStreamMissing, Message: fmt.Sprintf(
			"the consumer %s of the stream %s does not exist, and nats.jetStream.provisioning is manual: "+
				"an administrator has to create it, for example with rosey nats create", c.name, c.stream.Config.Name)}
	}
	has := c.consumer.CachedInfo().Config
	if has.AckPolicy != jetstream.AckExplicitPolicy || has.DeliverSubject != "" ||
		has.FilterSubject != "" || len(has.FilterSubjects) > 0 {
		return &bus.StreamError{Reason: status.ReasonStreamMismatch, Message: fmt.Sprintf(
			"the consumer %s of the stream %s cannot be used: expected explicit acknowledgement, "+
				"no deliver subject and no filter", c.name, c.stream.Config.Name)}
	}
	return nil
}

// otherOwner returns the database that the events belong to if it is another one. The stream's metadata keep the owner
// when the consumer is removed.
func (c *claim) otherOwner() (held owner, other bool) {
	all := []map[string]string{c.stream.Config.Metadata}
	if c.consumer != nil {
		all = append(all, c.consumer.CachedInfo().Config.Metadata)
	}
	for _, metadata := range all {
		if held := ownerOf(metadata); held.isOther(c.own.database) {
			return held, true
		}
	}
	return owner{}, false
}

// takeOver makes the events of another database those of the own one, or returns a conflict.
func (o *streamOwner) takeOver(ctx context.Context, c *claim, held owner) error {
	found := conflict{
		stream: c.stream.Config.Name, created: c.stream.Created, held: held, own: c.own, manual: c.manual,
		after: o.abandonedAfter, told: o.absentAfter,
	}
	if c.consumer != nil {
		found.consumer = c.consumer.CachedInfo()
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
	if err := c.replaceOwner(ctx); err != nil {
		return err
	}
	o.log.Warn("[NATS] this database takes over the events of another one", "stream", found.stream,
		"from", held.describe(), "replay", replay)
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
func (c *claim) replaceOwner(ctx context.Context) (err error) {
	wanted := consumerConfig(c.name, c.own)
	if c.consumer == nil {
		return c.ensure(ctx)
	}
	if c.consumer, err = c.bound.Stream.UpdateConsumer(ctx, wanted); err != nil {
		return fmt.Errorf("taking over the consumer %s: %w", c.name, err)
	}
	return nil
}

// ensure creates the consumer, or brings an existing one up to date. If several services try this at the same time, one
// of them wins: JetStream creates a consumer of a name only once, and the owner is a part of it.
func (c *claim) ensure(ctx context.Context) (err error) {
	wanted := consumerConfig(c.name, c.own)
	c.consumer, err = c.bound.Stream.CreateConsumer(ctx, wanted)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, jetstream.ErrConsumerExists):
		return fmt.Errorf("creating the consumer %s: %w", c.name, err)
	}
	if err = c.read(ctx); err != nil {
		return err
	}
	if held, other := c.otherOwner(); other { // another service was faster
		return conflict{stream: c.stream.Config.Name, held: held, own: c.own}
	}
	if c.consumer, err = c.bound.Stream.UpdateConsumer(ctx, wanted); err != nil {
		return fmt.Errorf("updating the consumer %s: %w", c.name, err)
	}
	return nil
}

// writeMetadata writes the owner into the stream's metadata, which keep it when the consumer is removed.
func (c *claim) writeMetadata(ctx context.Context) error {
	metadata, changed := c.own.addTo(c.stream.Config.Metadata)
	if !changed {
		return nil
	}
	updated := c.stream.Config
	updated.Metadata = metadata
	if _, err := c.bound.JetStream.UpdateStream(ctx, updated); err != nil {
		return fmt.Errorf("writing the database's UUID into the stream: %w", err)
	}
	return nil
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
		if has.AckWait == wanted.AckWait && has.MaxDeliver == wanted.MaxDeliver &&
			has.MaxAckPending == wanted.MaxAckPending && has.Description == wanted.Description {
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
