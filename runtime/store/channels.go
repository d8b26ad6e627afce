package store

import (
	"context"
	"errors"
)

// ErrChannelOwned means that another service owns a channel.
var ErrChannelOwned = errors.New("another database service owns the channel")

// Service identifies a database service among those that use one database.
type Service struct {
	// Prefix is its subject prefix. All its replicas have the same, and no other service has it. Empty: none.
	Prefix string
	// Name is the namespace and name of its RoseyBot, "namespace/name". Empty: it has none.
	Name string
}

// Is reports whether two values are the same service: that of one prefix, or of one RoseyBot whose prefix has changed.
func (s Service) Is(other Service) bool {
	return s.Prefix == other.Prefix || s.Name != "" && s.Name == other.Name
}

// OwnedChannel is a channel of a database, and the service that owns it.
type OwnedChannel struct {
	Channel
	// Owner is the zero Service if nobody owns the channel.
	Owner Service
	// ServedBy is the prefix of the service that served the channel last. Empty: none has.
	ServedBy string
}

// ChannelOwners is a Store that several services can use, and that records which of them owns a channel. Without that,
// whoever may publish to one service could name the channel of another one, and read and change its rows.
//
// A service owns its own channel, as its configuration names it. It may also serve the channels of bots that share it,
// which nobody owns. What is published never changes an owner.
type ChannelOwners interface {
	Store

	// TakeChannel records that a service owns a channel, unless another service does. Of several services that try it at
	// the same time, one succeeds. If the channel is owned by another prefix of the same RoseyBot, the service takes over
	// everything that this prefix had. The error wraps ErrChannelOwned, and owner is the other service.
	TakeChannel(ctx context.Context, service Service, channel Channel) (owner Service, err error)
	// ServeChannels records that a service serves channels, so that other services do not prune their rows. It returns
	// those that the service may not serve, because another one owns them.
	ServeChannels(ctx context.Context, service Service, channels []Channel) (owned []OwnedChannel, err error)
	// Channels returns all channels of the database.
	Channels(ctx context.Context) ([]OwnedChannel, error)
	// AssignChannel makes a service the owner of a channel, whoever owned it before.
	AssignChannel(ctx context.Context, service Service, channel Channel) (before Service, err error)
}
