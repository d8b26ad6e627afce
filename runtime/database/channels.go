package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

const (
	// defaultChannelsInterval is how often the list of channels and their owners are read. A bot of a channel that is new
	// in the list starts only when the service serves it, so nothing is lost meanwhile.
	defaultChannelsInterval = 5 * time.Second
	// maxNamedChannels is how many served channels an error names.
	maxNamedChannels = 5
	// maxNameInError is how many characters of a channel that a client sent an error repeats.
	maxNameInError = 100
)

// errNotServed marks a message for a channel that the engine does not serve. It is refused: neither stored nor kept as
// a dead letter, which would push out those that can be retried.
var errNotServed = errors.New("not served by this database service")

// errChannelList means that the list of channels could not be read when the engine opened its store.
var errChannelList = errors.New("it is not known which channels are served")

// servedChannels are the channels whose messages an engine stores and answers: its own, and those of a list that may
// change. Without it, whoever may publish could read and change the rows of every channel in the database.
type servedChannels struct {
	own  store.Channel
	list func() ([]store.Channel, error) // nil: there is none
	// service identifies the service in a database with owners. Zero: it owns nothing and every owner accepts it.
	service  store.Service
	interval time.Duration

	current atomic.Pointer[channelSet]
	// owner is not OK while another service owns the own channel.
	owner *status.Recorder

	// changed receives when another service becomes the owner of the own channel, or ceases to be.
	changed chan struct{}

	mu   sync.Mutex
	lost bool   // another service owns the own channel
	end  func() // ends what may run only until then; nil: nothing runs

	// refreshChannels alone uses these.
	read      bool   // the list has been read before
	listError string // the last one that was logged
}

// channelSet is a state of servedChannels. It does not change.
type channelSet struct {
	served map[store.Channel]store.Channel // by the folded channel
	tokens map[string][]store.Channel      // by their tokens in subjects
	listed []store.Channel
	// refused are channels of the list that other services own, and why they are refused, by status.ChannelName.
	refused map[string]string
}

func newServedChannels(o EngineOptions) *servedChannels {
	c := &servedChannels{
		own: o.Channel, list: o.Listed, service: o.Service, interval: defaultChannelsInterval,
		owner: status.NewRecorder(status.StoreCheck, ""), changed: make(chan struct{}, 1),
	}
	if o.channelsInterval > 0 {
		c.interval = o.channelsInterval
	}
	c.owner.Set(true, status.ReasonStoreOpen, "")
	c.current.Store(newChannelSet(c.own, nil, nil))
	return c
}

func newChannelSet(own store.Channel, listed []store.Channel, owned []store.OwnedChannel) *channelSet {
	set := &channelSet{
		served: map[store.Channel]store.Channel{}, tokens: map[string][]store.Channel{}, listed: listed,
		refused: map[string]string{},
	}
	for _, channel := range listed {
		set.served[foldedChannel(channel)] = channel
	}
	for _, channel := range owned {
		delete(set.served, foldedChannel(channel.Channel))
		set.refused[channelName(channel.Channel)] = ownedBy(channel)
	}
	// The own channel stays, also when another service has become its owner: then the service stops to receive messages,
	// and what it has received already is still stored.
	delete(set.refused, channelName(own))
	set.served[foldedChannel(own)] = own
	for _, channel := range set.served {
		token := bus.ChannelToken(channel.Name)
		set.tokens[token] = append(set.tokens[token], channel)
	}
	return set
}

// foldedChannel returns the form in which channels are compared.
func foldedChannel(channel store.Channel) store.Channel {
	channel.Server = strings.TrimRight(channel.Server, "/")
	return channel.Fold()
}

func channelName(channel store.Channel) string {
	return status.ChannelName(channel.Server, channel.Name)
}

// ownedBy returns why a channel that another service owns is not served, and what can be done.
func ownedBy(channel store.OwnedChannel) string {
	owner := "the database service with the subject prefix " + status.OneLine(channel.Owner.Prefix, maxNameInError)
	if channel.Owner.Name != "" {
		owner += " (RoseyBot " + status.OneLine(channel.Owner.Name, maxNameInError) + ")"
	}
	return fmt.Sprintf("channel %s belongs to %s; if it is to belong to this one, stop the other and run "+
		"`rosey db channel assign --channel %s`", channelName(channel.Channel), owner, channel.Name)
}

// ownedError is a store.ErrChannelOwned with the message of ownedBy.
type ownedError struct{ message string }

func (e ownedError) Error() string { return e.message }

// Unwrap implements errors.Is.
func (e ownedError) Unwrap() error { return store.ErrChannelOwned }

// find returns the channel as the configuration spells it, or an error for clients that is an errNotServed.
func (c *servedChannels) find(sent store.Channel) (store.Channel, error) {
	set := c.current.Load()
	if channel, ok := set.served[foldedChannel(sent)]; ok {
		return channel, nil
	}
	return store.Channel{}, set.notServed(channelName(sent))
}

// findToken returns the channel with a token in subjects, or an error for clients that is an errNotServed: also if
// there are two, on different servers.
func (c *servedChannels) findToken(token string) (store.Channel, error) {
	set := c.current.Load()
	switch found := set.tokens[token]; len(found) {
	case 0:
		return store.Channel{}, set.notServed(token)
	case 1:
		return found[0], nil
	}
	return store.Channel{}, fmt.Errorf("channel %s: %w by its name in a subject, which two channels on different servers "+
		"have: expected one; give one of them a database service of its own", token, errNotServed)
}

func (s *channelSet) notServed(name string) error {
	names := s.names()
	if len(names) > maxNamedChannels {
		names = append(names[:maxNamedChannels], fmt.Sprintf("%d more", len(names)-maxNamedChannels))
	}
	return fmt.Errorf("channel %s: %w, which serves %s; a channel is added by a RoseyBot with "+
		"database.sharedFrom, or to the file of database.channelsFile",
		status.OneLine(name, maxNameInError), errNotServed, strings.Join(names, ", "))
}

// names returns the names of the served channels in order.
func (s *channelSet) names() []string {
	names := make([]string, 0, len(s.served))
	for _, channel := range s.served {
		names = append(names, channelName(channel))
	}
	slices.Sort(names)
	return names
}

// takeChannels records in a database with owners that the service owns its channel, and reads which others it serves.
// The error wraps store.ErrChannelOwned if another service is the owner.
func (e *Engine) takeChannels(ctx context.Context, opened store.Store) error {
	c := e.channels
	if owners := c.ownersIn(opened); owners != nil {
		owner, err := owners.TakeChannel(ctx, c.service, c.own)
		if errors.Is(err, store.ErrChannelOwned) {
			return ownedError{ownedBy(store.OwnedChannel{Channel: c.own, Owner: owner})}
		}
		if err != nil {
			return err
		}
	}
	return e.refreshChannels(ctx, opened)
}

// ownersIn returns nil if the database has no owners, or the engine need not be one.
func (c *servedChannels) ownersIn(opened store.Store) store.ChannelOwners {
	owners, ok := opened.(store.ChannelOwners)
	if !ok || c.service.Prefix == "" {
		return nil
	}
	return owners
}

// watchChannels reads the list of channels and their owners at intervals until ctx ends.
func (e *Engine) watchChannels(ctx context.Context) {
	if e.channels.list == nil && e.channels.ownersIn(e.store) == nil {
		return
	}
	for backoff.Sleep(ctx, e.channels.interval) {
		if err := e.refreshChannels(ctx, e.store); err != nil && ctx.Err() == nil {
			e.log.DebugContext(ctx, "[DB] cannot read the owners of the channels", "error", err)
		}
	}
}

// refreshChannels reads the list of channels and their owners. After an error everything stays as it was.
func (e *Engine) refreshChannels(ctx context.Context, opened store.Store) error {
	c := e.channels
	listed, err := e.readList()
	if err != nil {
		return err
	}
	var owned []store.OwnedChannel
	if owners := c.ownersIn(opened); owners != nil {
		if owned, err = owners.ServeChannels(ctx, c.service, append(slices.Clone(listed), c.own)); err != nil {
			return err
		}
	}
	before, next := c.current.Load(), newChannelSet(c.own, listed, owned)
	c.current.Store(next)
	c.read = true
	if names := next.names(); !slices.Equal(before.names(), names) {
		e.log.InfoContext(ctx, "[DB] channels", "serves", names)
	}
	if !maps.Equal(before.refused, next.refused) {
		for _, reason := range next.refused {
			e.log.ErrorContext(ctx, "[DB] a listed channel is not served: "+reason)
		}
	}
	e.setOwner(owned)
	return nil
}

// readList returns the list of channels. If it cannot be read, it stays as it was, because a mistake in it must not end
// what worked before. When it was never read, that is an error, an errChannelList: a service without it would refuse
// what waits for it in the stream.
func (e *Engine) readList() ([]store.Channel, error) {
	c := e.channels
	if c.list == nil {
		return nil, nil
	}
	listed, err := c.list()
	if err == nil {
		c.listError = ""
		return listed, nil
	}
	if !c.read {
		return nil, fmt.Errorf("%w: %w", errChannelList, err)
	}
	if text := err.Error(); text != c.listError {
		c.listError = text
		e.log.Error("[DB] cannot read the list of channels, so it stays as it was", "error", err)
	}
	return c.current.Load().listed, nil
}

// setOwner records whether another service has become the owner of the own channel.
func (e *Engine) setOwner(owned []store.OwnedChannel) {
	c := e.channels
	own := slices.IndexFunc(owned, func(channel store.OwnedChannel) bool {
		return foldedChannel(channel.Channel) == foldedChannel(c.own)
	})
	if own < 0 {
		if c.owner.Set(true, status.ReasonStoreOpen, "") {
			e.log.Info("[DB] the channel belongs to this database service again")
		}
		c.setLost(false)
		return
	}
	message := ownedBy(owned[own])
	if c.owner.Set(false, status.ReasonChannelOwned, message) {
		e.log.Error("[DB] " + message)
	}
	c.setLost(true)
}

func (c *servedChannels) setLost(lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != lost {
		select {
		case c.changed <- struct{}{}:
		default: // the last change has not been looked at
		}
	}
	c.lost = lost
	if lost && c.end != nil {
		c.end()
	}
}

// whileOwned returns a context that ends when another service becomes the owner of the own channel. One goroutine at a
// time may call it.
func (c *servedChannels) whileOwned(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end = cancel; c.lost {
		cancel()
	}
	return ctx, cancel
}

// logLimit admits one log line a minute: a client that keeps sending what is refused must not fill the log.
type logLimit struct{ last atomic.Int64 }

// due reports whether a line may be logged at a time.
func (l *logLimit) due(at time.Time) bool {
	last := l.last.Load()
	return at.UnixMilli()-last >= time.Minute.Milliseconds() && l.last.CompareAndSwap(last, at.UnixMilli())
}
