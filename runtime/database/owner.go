package database

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// ownerKey is the metadata of stream and consumer that says which database gets the events.
const ownerKey = "rosey.dev/database"

// conflictError says that the events belong to another database than ours.
type conflictError struct{ stream, owner, ours string }

func (e *conflictError) Error() string {
	return fmt.Sprintf("the events of the stream %s belong to the database %s, and this is the database %s: "+
		"two databases cannot share a subject prefix; if the other is gone for good, remove the stream",
		e.stream, e.owner, e.ours)
}

// ownedConsumer answers the durable consumer if the stream's events belong to our database, and makes it if they
// belong to none yet. Of several that come first at once one wins: JetStream makes a consumer of a name only once,
// and the owner is a part of it. The stream's metadata shows the owner too, also when the consumer is removed.
func ownedConsumer(
	ctx context.Context, bound bus.Bound, name, ours string,
) (consumer jetstream.Consumer, err error) {
	info, err := bound.Stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the stream: %w", err)
	}
	stream := info.Config
	if owner := stream.Metadata[ownerKey]; owner != "" && owner != ours {
		return nil, &conflictError{stream.Name, owner, ours}
	}
	consumer, err = ensureConsumer(ctx, bound.Stream, consumerConfig(name, ours))
	if err != nil {
		return nil, err
	}
	if owner := consumer.CachedInfo().Config.Metadata[ownerKey]; owner != ours {
		return nil, &conflictError{stream.Name, owner, ours}
	}
	if stream.Metadata[ownerKey] == ours {
		return consumer, nil
	}
	stream.Metadata = maps.Clone(stream.Metadata)
	if stream.Metadata == nil {
		stream.Metadata = map[string]string{}
	}
	stream.Metadata[ownerKey] = ours
	if _, err := bound.JetStream.UpdateStream(ctx, stream); err != nil {
		return nil, fmt.Errorf("writing the database's id into the stream: %w", err)
	}
	return consumer, nil
}

func consumerConfig(name, owner string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		Description:   "The database services of Rosey share these events",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1, // a store that is away must not use up anything
		MaxAckPending: 20 * maxHeld,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		Metadata:      map[string]string{ownerKey: owner},
	}
}

// ensureConsumer makes the consumer, or brings the one that is there up to date if it is ours.
func ensureConsumer(
	ctx context.Context, stream jetstream.Stream, wanted jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	consumer, err := stream.CreateConsumer(ctx, wanted)
	if err == nil {
		return consumer, nil
	}
	if !errors.Is(err, jetstream.ErrConsumerExists) {
		return nil, fmt.Errorf("making the consumer %s: %w", wanted.Durable, err)
	}
	if consumer, err = stream.Consumer(ctx, wanted.Durable); err != nil {
		return nil, fmt.Errorf("reading the consumer %s: %w", wanted.Durable, err)
	}
	owner := consumer.CachedInfo().Config.Metadata[ownerKey]
	if owner != "" && owner != wanted.Metadata[ownerKey] {
		return consumer, nil // somebody else's
	}
	if consumer, err = stream.UpdateConsumer(ctx, wanted); err != nil {
		return nil, fmt.Errorf("updating the consumer %s: %w", wanted.Durable, err)
	}
	return consumer, nil
}
