package plugin

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
)

func (r *runner) newDiscovery() (*bus.Discovery, error) {
	options := bus.DiscoveryOptions{
		Conn: r.options.Conn, Name: r.subjects.ServiceName(), Version: r.plugin.version,
		Description: "a plugin for CyTube channels",
		Metadata: map[string]string{
			"plugin": r.subjects.Name, "channel": r.options.Channel, "server": r.options.Server,
			"prefix": r.options.Subjects.Prefix(),
		},
	}
	for _, one := range r.plugin.declared() {
		endpoint, err := r.endpoint(one)
		if err != nil {
			return nil, err
		}
		options.Endpoints = append(options.Endpoints, endpoint)
	}
	return bus.NewDiscovery(options), nil
}

// endpoint returns the endpoint of a command in the services protocol.
func (r *runner) endpoint(one command) (micro.EndpointInfo, error) {
	declared, err := one.metadata()
	return micro.EndpointInfo{
		Name: one.Name, Subject: r.subjects.Call(one.Name), QueueGroup: r.subjects.QueueGroup(),
		Metadata: map[string]string{bus.CommandMetadata: declared},
	}, err
}

// declare adds a command while the plugin runs.
func (r *runner) declare(one command) error {
	endpoint, err := r.endpoint(one)
	if err == nil {
		err = r.plugin.add(one)
	}
	if err != nil {
		return err
	}
	r.discovery.Add(endpoint)
	if !r.isReady() {
		return nil // it is subscribed with the others
	}
	conn := r.options.Conn.NATS()
	if err := r.add(conn.ChanQueueSubscribe(endpoint.Subject, endpoint.QueueGroup, r.incoming)); err != nil {
		return err
	}
	r.offer()
	return nil
}

// withdraw removes a command while the plugin runs.
func (r *runner) withdraw(name string) {
	if !r.plugin.remove(name) {
		return
	}
	subject := r.subjects.Call(name)
	r.discovery.Remove(subject)
	r.mu.Lock()
	isMeant := func(s *nats.Subscription) bool { return s.Subject == subject }
	at := slices.IndexFunc(r.subscriptions, isMeant)
	if at >= 0 {
		_ = r.subscriptions[at].Unsubscribe() // it fails only if the connection is closed
		r.subscriptions = slices.Delete(r.subscriptions, at, at+1)
	}
	r.mu.Unlock()
	if r.isReady() {
		r.offer()
	}
}

func (r *runner) isReady() bool {
	select {
	case <-r.ready:
		return true
	default:
		return false
	}
}

// offer makes the bot look at the commands again. It does not wait: the server handles what was subscribed to before it
// handles the hello, and one hello is enough for many changes.
func (r *runner) offer() {
	select {
	case r.greeting <- struct{}{}:
	default: // it is about to be said
	}
}

// checkPermissions finds out whether the NATS user may receive what is for other plugins, and puts it into what the
// plugin offers. It reports whether that is another thing than before. Without a login nobody is kept from anything,
// which the bot sees itself.
func (r *runner) checkPermissions(ctx context.Context) (changed bool) {
	connection := r.options.Conn.Generation() + 1
	if r.options.Inside || r.tried == connection || !r.options.Conn.NATS().AuthRequired() {
		return false
	}
	isOpen, err := r.options.Conn.MaySubscribe(ctx, r.subjects.Foreign())
	if err != nil {
		return false // it is tried again at the next connection
	}
	r.tried = connection
	if isOpen == r.isOpen {
		return false
	}
	r.isOpen = isOpen
	value := ""
	if isOpen {
		value = bus.PermissionsOpen
		r.options.Log.WarnContext(ctx, "the NATS user of the plugin may receive what is for other plugins: its permissions "+
			"are missing or too wide; `rosey nats permissions` prints what it needs")
	}
	r.discovery.SetMetadata(bus.PermissionsMetadata, value)
	return true
}

// subscribe subscribes to calls, cancels, events, and to what asks for the plugin's commands.
func (r *runner) subscribe() error {
	conn := r.options.Conn.NATS()
	for _, one := range r.plugin.declared() {
		err := r.add(conn.ChanQueueSubscribe(r.subjects.Call(one.Name), r.subjects.QueueGroup(), r.incoming))
		if err != nil {
			return err
		}
	}
	for _, event := range r.plugin.Events() {
		feed := r.options.Subjects.Subject(bus.FeedEvents(r.options.Channel, event))
		subscription, err := conn.ChanQueueSubscribe(feed, r.subjects.QueueGroup(), r.events)
		if err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		r.feeds = append(r.feeds, subscription)
	}
	// Without a queue group: the call may be that of any process of the plugin.
	if err := r.add(conn.ChanSubscribe(r.subjects.Cancel(), r.incoming)); err != nil {
		return err
	}
	if err := r.discovery.Subscribe(); err != nil {
		return err
	}
	r.flush() // afterwards it is known which the server refuses
	return nil
}

func (r *runner) add(subscription *nats.Subscription, err error) error {
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscriptions = append(r.subscriptions, subscription)
	return nil
}

// flush waits until the server has handled what was sent to it.
func (r *runner) flush() {
	if r.options.Conn.Connected() {
		_ = r.options.Conn.NATS().FlushTimeout(bus.RequestTimeout) // without an answer there is no connection soon
	}
}
