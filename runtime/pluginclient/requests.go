package pluginclient

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxRequests and maxRequestBytes bound the requests of a plugin that wait.
	maxRequests     = 64
	maxRequestBytes = 1 << 20
)

// Kinds of requests: values of the label request.
const (
	requestSay   = "say"
	requestQueue = "queue"
	requestAct   = "act"
	requestState = "state"
	requestHello = "hello"
	requestBye   = "bye"
	requestOther = "other"
)

var requestKinds = []string{
	requestSay, requestQueue, requestAct, requestState, requestHello, requestBye, requestOther,
}

// Outcomes of requests that have none of package bus: values of the label outcome.
const (
	requestDropped = "dropped"  // too many, too large, or no bot that leads
	requestNoInbox = "no_inbox" // the reply subject is no inbox
)

var requestOutcomes = []string{
	bus.OutcomeDone, bus.OutcomeThrottled, bus.OutcomeDenied, bus.OutcomeInvalid, bus.OutcomeFailed, requestDropped,
	requestNoInbox,
}

// serve handles the requests of the plugin until ctx ends. A request is dropped without an answer if its reply
// subject is no inbox: the plugin could otherwise have the bot publish where the plugin may not.
func (p *plugin) serve(ctx context.Context) {
	waiting := make(chan *nats.Msg, maxRequests)
	subscription, err := p.client.Conn.NATS().Subscribe(p.subjects.All(), func(m *nats.Msg) {
		if outcome := p.accept(m, waiting); outcome != "" {
			p.client.metrics.countRequest(p.name, p.kind(m), outcome)
		}
	})
	if err != nil {
		p.client.Log.ErrorContext(ctx, "[NATS] cannot receive requests of a plugin", "plugin", p.name, "error", err)
		return
	}
	defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
	_ = subscription.SetPendingLimits(maxRequests, maxRequestBytes)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-waiting:
			p.handle(ctx, m)
		}
	}
}

// accept queues a request. It returns why it does not, or "".
func (p *plugin) accept(m *nats.Msg, waiting chan<- *nats.Msg) (outcome string) {
	kind := p.kind(m)
	isNotice := kind == requestHello || kind == requestBye
	switch {
	case m.Reply != "" && !bus.IsInbox(m.Reply), m.Reply == "" && !isNotice:
		return requestNoInbox
	case len(m.Data) > bus.MaxPluginBytes || !p.client.Leading():
		return requestDropped
	case !p.requestLimit.Allow():
		return requestDropped
	}
	select {
	case waiting <- m:
		return ""
	default:
		return requestDropped
	}
}

// kind returns what a request is for.
func (p *plugin) kind(m *nats.Msg) string {
	_, _, rest, _ := p.client.Subjects.PluginOfSubject(m.Subject)
	kind, _, _ := strings.Cut(strings.TrimPrefix(rest, "out."), ".")
	switch kind {
	case requestSay, requestQueue, requestAct, requestState, requestHello, requestBye:
		return kind
	}
	return requestOther
}

// handle handles a request and answers it, at once or later.
func (p *plugin) handle(ctx context.Context, m *nats.Msg) {
	kind := p.kind(m)
	_, _, rest, _ := p.client.Subjects.PluginOfSubject(m.Subject)
	_, detail, _ := strings.Cut(strings.TrimPrefix(rest, "out."), ".")
	switch kind {
	case requestHello:
		p.wake()
	case requestBye:
		p.bye(ctx, readHello(m.Data))
	default:
		p.serveInChannel(ctx, m, kind, detail)
		return
	}
	p.client.metrics.countRequest(p.name, kind, bus.OutcomeDone)
}

// bye forgets a process of the plugin.
func (p *plugin) bye(ctx context.Context, id string) {
	p.mu.Lock()
	rest := map[string]Instance{}
	for known, one := range p.instances {
		if known != id {
			rest[known] = one
		}
	}
	isKnown := len(rest) < len(p.instances)
	p.mu.Unlock()
	if isKnown {
		p.publish(ctx, rest)
	}
}

// serveInChannel handles a request that needs the bot to be in the channel.
func (p *plugin) serveInChannel(ctx context.Context, m *nats.Msg, kind, detail string) {
	s := p.client.current()
	if s == nil && kind != requestQueue {
		p.answer(m, kind, *failed("the bot is not in the channel"))
		return
	}
	switch kind {
	case requestSay:
		p.say(ctx, s, m)
	case requestQueue:
		p.answer(m, kind, p.queue(ctx, m))
	case requestAct:
		p.answer(m, kind, p.act(ctx, s, m, bus.PluginVerb(detail)))
	case requestState:
		p.state(ctx, s, m, bus.PluginThing(detail))
	default:
		p.answer(m, kind, *invalid("there is no such request"))
	}
}

// answer answers a request and counts it.
func (p *plugin) answer(m *nats.Msg, kind string, outcome bus.PluginOutcome) {
	p.client.metrics.countRequest(p.name, kind, outcome.Outcome)
	p.respond(m, outcome)
}

func (p *plugin) respond(m *nats.Msg, answer any) {
	if data, err := bus.Encode(answer); err == nil {
		_ = m.Respond(data) // who asks has a time limit of its own
	}
}

func invalid(why string) *bus.PluginOutcome {
	return &bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: why}
}

func denied(why string) *bus.PluginOutcome {
	return &bus.PluginOutcome{Outcome: bus.OutcomeDenied, Error: why}
}

func throttled(why string) *bus.PluginOutcome {
	return &bus.PluginOutcome{Outcome: bus.OutcomeThrottled, Error: why}
}

// decode decodes the body of a request.
func decode(m *nats.Msg, into any) *bus.PluginOutcome {
	if err := json.Unmarshal(m.Data, into); err != nil {
		return invalid("expected the fields of the request as JSON: " + err.Error())
	}
	return nil
}

// callOf returns the call because of which a plugin requests something, and nil if it names none. A call that is over
// or of another plugin is denied.
func (p *plugin) callOf(id string) (*call, *bus.PluginOutcome) {
	if id == "" {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetCalls()
	one := p.calls[id]
	if one == nil {
		return nil, denied("call: there is no such call of the plugin, or it is over")
	}
	return one, nil
}

// asker returns who made a call. Empty: there is no call.
func (one *call) asker() string {
	if one == nil {
		return ""
	}
	return one.User.Name
}

// number returns the ID of a call. Empty: there is no call.
func (one *call) number() string {
	if one == nil {
		return ""
	}
	return one.id
}
