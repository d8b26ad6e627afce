package pluginclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxInstances is how many processes of a plugin are known.
	maxInstances = 32
	// maxInfoBytes bounds the description of a plugin.
	maxInfoBytes = 512 << 10
)

// discover looks for the plugin until ctx ends.
func (p *plugin) discover(ctx context.Context) {
	ping := time.NewTicker(p.client.timings.Ping)
	defer ping.Stop()
	p.look(ctx)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-p.looks:
			p.look(ctx)
			// Whoever may say hello could otherwise have it looked for all the time.
			backoff.Sleep(ctx, p.client.timings.Look)
		case <-ping.C:
			if ids := p.ping(ctx); !p.knows(ids) && ctx.Err() == nil {
				p.look(ctx)
			}
		}
	}
}

// ping returns the IDs of the processes that answer.
func (p *plugin) ping(ctx context.Context) map[string]bool {
	ids := map[string]bool{}
	for _, reply := range gather(ctx, p.client.Conn, p.subjects, micro.PingVerb, p.client.timings) {
		var pong micro.Ping
		if len(reply.Data) <= maxInfoBytes && json.Unmarshal(reply.Data, &pong) == nil &&
			pong.Name == p.subjects.ServiceName() {
			ids[pong.ID] = true
		}
	}
	return ids
}

// look asks the plugin what it offers.
func (p *plugin) look(ctx context.Context) {
	p.mu.Lock()
	p.left = map[string]bool{}
	p.asked, p.saidHello = p.saidHello || p.deaf, false
	p.mu.Unlock()
	answered := discover(ctx, p.client.Conn, p.subjects, p.client.timings)
	if ctx.Err() == nil {
		p.settle(ctx, answered)
	}
}

// settle ends a look with the processes that have answered.
func (p *plugin) settle(ctx context.Context, answered map[string]Instance) {
	p.publish(ctx, func() (map[string]Instance, bool) {
		maps.DeleteFunc(answered, func(id string, _ Instance) bool { return p.left[id] }) // it answered before its bye
		p.left, p.deaf = nil, p.asked && len(answered) == 0
		return answered, true
	})
}

// Discover asks a plugin what it offers, and returns the processes that answer within two seconds, by their IDs.
func Discover(ctx context.Context, conn *bus.Conn, subjects bus.PluginSubjects) map[string]Instance {
	return discover(ctx, conn, subjects, defaultTimings())
}

func discover(ctx context.Context, conn *bus.Conn, subjects bus.PluginSubjects, t timings) map[string]Instance {
	instances := map[string]Instance{}
	for _, reply := range gather(ctx, conn, subjects, micro.InfoVerb, t) {
		if one, ok := readInstance(subjects, reply.Data); ok && len(instances) < maxInstances {
			instances[one.ID] = one
		}
	}
	return instances
}

// publish notes which processes answer now, and what they offer. change is that of setInstances.
func (p *plugin) publish(ctx context.Context, change func() (now map[string]Instance, isNews bool)) {
	wasAvailable, changed := p.setInstances(change)
	if !changed {
		return
	}
	p.client.register()
	p.mu.Lock()
	isAvailable, instances, commands, problems := p.available, p.instances, len(p.commands), p.found
	p.mu.Unlock()
	log := p.client.Log
	switch {
	case isAvailable:
		version := ""
		for _, one := range instances {
			version = one.Version
		}
		log.InfoContext(ctx, "plugin found", "plugin", p.name, "processes", len(instances), "version", version,
			"commands", commands)
		if len(problems) > 0 && p.mayWarn() {
			log.WarnContext(ctx, "plugin offers what cannot be used", "plugin", p.name, "problems", problems)
		}
	case wasAvailable:
		log.WarnContext(ctx, "plugin is away", "plugin", p.name)
	}
}

// greeted notes that the plugin says hello, and has it looked for.
func (p *plugin) greeted() {
	p.mu.Lock()
	p.saidHello = true
	p.mu.Unlock()
	p.wake()
}

// bye forgets a process of the plugin.
func (p *plugin) bye(ctx context.Context, id string) {
	p.publish(ctx, func() (map[string]Instance, bool) {
		p.saidHello, p.asked, p.deaf = false, false, false
		if len(p.left) < maxInstances && p.left != nil {
			p.left[id] = true
		}
		rest := maps.Clone(p.instances)
		delete(rest, id)
		return rest, len(rest) < len(p.instances)
	})
}

// infoSubject returns the subject on which the plugin is asked what it offers.
func (p *plugin) infoSubject() string { return controlSubject(micro.InfoVerb, p.subjects) }

func controlSubject(verb micro.Verb, subjects bus.PluginSubjects) string {
	return fmt.Sprintf("%s.%s.%s", micro.APIPrefix, verb, subjects.ServiceName())
}

// mayNotAsk reports whether the server has refused to let the bot ask a plugin what it offers.
func (c *Client) mayNotAsk(p *plugin) bool { return c.Conn.Denied(p.infoSubject()) }

// gather sends a request of the services protocol to a plugin and returns the replies of all processes that answer in
// time. A request that may not be sent has none.
func gather(
	ctx context.Context, conn *bus.Conn, subjects bus.PluginSubjects, verb micro.Verb, t timings,
) (all []*nats.Msg) {
	inbox := conn.NATS().NewInbox()
	replies, err := conn.NATS().SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = replies.Unsubscribe() }() // it fails only if the connection is closed
	_ = replies.SetPendingLimits(maxInstances, maxInstances*maxInfoBytes)
	if err := conn.NATS().PublishRequest(controlSubject(verb, subjects), inbox, nil); err != nil {
		return nil
	}
	first, cancel := context.WithTimeout(ctx, t.Answer)
	defer cancel()
	reply, err := replies.NextMsgWithContext(first)
	if err != nil || isNoResponder(reply) {
		return nil
	}
	rest, stop := context.WithTimeout(first, t.Gather)
	defer stop()
	for err == nil && len(all) < maxInstances {
		all = append(all, reply)
		reply, err = replies.NextMsgWithContext(rest)
	}
	return all
}

// isNoResponder reports whether a message is what the server sends instead of a reply when nobody has subscribed.
func isNoResponder(m *nats.Msg) bool {
	const noResponders = "503"
	return len(m.Data) == 0 && m.Header.Get("Status") == noResponders
}
