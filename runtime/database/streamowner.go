package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// ownerKey is the key in the metadata of stream and consumer whose value is the UUID of the database that the events
// belong to.
const ownerKey = "rosey.dev/database"

// errOtherOwner means that the events belong to another database.
var errOtherOwner = errors.New("two databases cannot share a subject prefix")

func otherOwner(stream, owner, own string) error {
	return fmt.Errorf("%w: the events of the stream %s belong to the database %s, and this is the database %s; "+
		"if the other is gone for good, remove the stream", errOtherOwner, stream, owner, own)
}

// consumerOf returns the durable consumer of the database with the UUID own. guarded reports whether another database
// would be noticed: that is so unless an administrator creates the objects and has not written the UUID into them.
func consumerOf(
	ctx context.Context, bound bus.Bound, name, own string, manual bool,
) (consumer jetstream.Consumer, guarded bool, err error) {
	if manual {
		return providedConsumer(ctx, bound, name, own)
	}
	consumer, err = ownedConsumer(ctx, bound, name, own)
	return consumer, true, err
}

// providedConsumer returns the durable consumer that an administrator has created, and changes nothing.
func providedConsumer(
	ctx context.Context, bound bus.Bound, name, own string,
) (consumer jetstream.Consumer, guarded bool, err error) {
	info, err := bound.Stream.Info(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("reading the stream: %w", err)
	}
	stream := info.Config
	consumer, err = bound.Stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, false, &bus.StreamError{Reason: status.ReasonJetStreamMissing, Message: fmt.Sprintf(
			"the consumer %s of the stream %s does not exist, and nats.jetStream.provisioning is manual: "+
				"an administrator has to create it, for example with rosey nats create", name, stream.Name)}
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the consumer %s: %w", name, err)
	}
	has := consumer.CachedInfo().Config
	if has.AckPolicy != jetstream.AckExplicitPolicy || has.DeliverSubject != "" ||
		has.FilterSubject != "" || len(has.FilterSubjects) > 0 {
		return nil, false, &bus.StreamError{Reason: status.ReasonStreamMismatch, Message: fmt.Sprintf(
			"the consumer %s of the stream %s cannot be used: expected explicit acknowledgement, "+
				"no deliver subject and no filter", name, stream.Name)}
	}
	owners := []string{stream.Metadata[ownerKey], has.Metadata[ownerKey]}
	for _, owner := range owners {
		if owner != "" && owner != own {
			return nil, false, otherOwner(stream.Name, owner, own)
		}
	}
	return consumer, slices.Contains(owners, own), nil
}

// CreateConsumer creates the durable consumer of the database services in a stream, or brings an existing one up to
// date. An owner that it has stays the same.
func CreateConsumer(ctx context.Context, stream jetstream.Stream, subjects bus.Subjects) (bus.Change, error) {
	wanted := consumerConfig(subjects.ConsumerName(), "")
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

// ownedConsumer returns the durable consumer if the stream's events belong to the database with the UUID own, and
// creates it if they belong to none yet. If several services try this at the same time, one of them wins: JetStream
// creates a consumer of a name only once, and the owner is a part of it. The stream's metadata has the owner too, and
// keeps it when the consumer is removed.
func ownedConsumer(
	ctx context.Context, bound bus.Bound, name, own string,
) (consumer jetstream.Consumer, err error) {
	info, err := bound.Stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the stream: %w", err)
	}
	stream := info.Config
	if owner := stream.Metadata[ownerKey]; owner != "" && owner != own {
		return nil, otherOwner(stream.Name, owner, own)
	}
	consumer, err = ensureConsumer(ctx, bound.Stream, consumerConfig(name, own))
	if err != nil {
		return nil, err
	}
	if owner := consumer.CachedInfo().Config.Metadata[ownerKey]; owner != own {
		return nil, otherOwner(stream.Name, owner, own)
	}
	if stream.Metadata[ownerKey] == own {
		return consumer, nil
	}
	stream.Metadata = maps.Clone(stream.Metadata)
	if stream.Metadata == nil {
		stream.Metadata = map[string]string{}
	}
	stream.Metadata[ownerKey] = own
	if _, err := bound.JetStream.UpdateStream(ctx, stream); err != nil {
		return nil, fmt.Errorf("writing the database's UUID into the stream: %w", err)
	}
	return consumer, nil
}

// consumerConfig returns the configuration of the consumer. Without an owner it has no metadata.
func consumerConfig(name, owner string) jetstream.ConsumerConfig {
	var metadata map[string]string
	if owner != "" {
		metadata = map[string]string{ownerKey: owner}
	}
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

// ensureConsumer creates the consumer, or brings an existing one up to date unless it has another owner.
func ensureConsumer(
	ctx context.Context, stream jetstream.Stream, wanted jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	consumer, err := stream.CreateConsumer(ctx, wanted)
	if err == nil {
		return consumer, nil
	}
	if !errors.Is(err, jetstream.ErrConsumerExists) {
		return nil, fmt.Errorf("creating the consumer %s: %w", wanted.Durable, err)
	}
	if consumer, err = stream.Consumer(ctx, wanted.Durable); err != nil {
		return nil, fmt.Errorf("reading the consumer %s: %w", wanted.Durable, err)
	}
	owner := consumer.CachedInfo().Config.Metadata[ownerKey]
	if owner != "" && owner != wanted.Metadata[ownerKey] {
		return consumer, nil // the caller reports the conflict
	}
	if consumer, err = stream.UpdateConsumer(ctx, wanted); err != nil {
		return nil, fmt.Errorf("updating the consumer %s: %w", wanted.Durable, err)
	}
	return consumer, nil
}
