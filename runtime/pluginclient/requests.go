package pluginclient

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/status"
)

const (
	// maxRequests and maxRequestBytes bound the requests of a plugin that wait, and maxSlow those that take long.
	maxRequests     = 64
	maxRequestBytes = 1 << 20
	maxSlow         = 8
)

// Kinds of requests: values of the label request.
const (
	requestSay   = "say"
	requestTake  = "take"
	requestQueue = "queue"
	requestAct   = "act"
	requestState = "state"
	requestHello = "hello"
	requestBye   = "bye"
	requestOther = "other"
)

var requestKinds = []string{
	requestSay, requestTake, requestQueue, requestAct, requestState, requestHello, requestBye, requestOther,
}

// Outcomes of requests that have none of package bus: values of the label outcome.
const (
	requestDropped = "dropped"  // too many, too large, too late, or no bot that leads
	requestNoInbox = "no_inbox" // the reply subject is no inbox
)

var requestOutcomes = []string{
	bus.OutcomeDone, bus.OutcomeThrottled, bus.OutcomeDenied, bus.OutcomeInvalid, bus.OutcomeFailed,
	bus.OutcomeUnconfirmed, requestDropped, requestNoInbox,
}

// request is a request of a plugin.
type request struct {
	*nats.Msg

	// kind is what it is for, one of requestKinds, and detail the verb or the part of the state.
	kind, detail string
	arrived      time.Time
	// until is how long the plugin waits for the answer. Afterwards nothing is done: the plugin may have asked again.
	until time.Time
	// session is the one in which it arrived. Nil: the bot was not in the channel.
	session *session
}

// newRequest returns the request in a message that has just arrived.
func (p *plugin) newRequest(m *nats.Msg) *request {
	_, _, rest, _ := p.client.Subjects.PluginOfSubject(m.Subject)
	kind, detail, _ := strings.Cut(strings.TrimPrefix(rest, "out."), ".")
	switch kind {
	case requestSay, requestTake, requestQueue, requestAct, requestState, requestHello, requestBye:
	default:
		kind = requestOther
	}
	now := time.Now()
	return &request{
		Msg: m, kind: kind, detail: detail, arrived: now, until: now.Add(waits(m.Header)), session: p.client.current(),
	}
}

// waits returns how long a plugin waits for the answer to a request.
func waits(header nats.Header) time.Duration {
	most := bus.PluginRequestTimeout
	if ms, err := strconv.Atoi(header.Get(bus.DeadlineHeader)); err == nil && ms > 0 && ms < int(most.Milliseconds()) {
		return time.Duration(ms) * time.Millisecond
	}
	return most
}

// lanes are the requests that wait: an act may take many seconds, and what is done at once must not wait for it.
type lanes struct{ quick, slow chan *request }

func (l lanes) of(kind string) chan *request {
	if kind == requestAct || kind == requestQueue {
		return l.slow
	}
	return l.quick
}

// serve handles what the plugin sends until ctx ends.
func (p *plugin) serve(ctx context.Context) {
	l := lanes{make(chan *request, maxRequests), make(chan *request, maxSlow)}
	var handling sync.WaitGroup
	defer handling.Wait()
	handling.Go(func() { p.handleAll(ctx, l.quick) })
	handling.Go(func() { p.handleAll(ctx, l.slow) })
	// Hello and bye have subscriptions of their own: a lost hello is not repeated, so a flood of requests must not push
	// it out. Of many that wait any one will do, because the bot looks after the last of those that it gets.
	for subject, receive := range map[string]nats.MsgHandler{
		p.subjects.All(): func(m *nats.Msg) { p.accept(m, l) },
		p.subjects.Hello(): func(*nats.Msg) {
			p.greeted()
			p.client.metrics.countRequest(p.name, requestHello, bus.OutcomeDone)
		},
		p.subjects.Bye(): func(m *nats.Msg) {
			p.bye(ctx, readHello(m.Data))
			p.client.metrics.countRequest(p.name, requestBye, bus.OutcomeDone)
		},
	} {
		subscription, err := p.client.Conn.NATS().Subscribe(subject, receive)
		if err != nil {
			p.client.Log.ErrorContext(ctx, "[NATS] cannot receive requests of a plugin", "plugin", p.name, "error", err)
			continue
		}
		defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
		_ = subscription.SetPendingLimits(maxRequests, maxRequestBytes)
	}
	<-ctx.Done()
}

// readHello returns the ID in a PluginHello, and "" if there is none.
func readHello(data []byte) string {
	var hello bus.PluginHello
	if len(data) > bus.MaxPluginBytes || json.Unmarshal(data, &hello) != nil {
		return ""
	}
	return status.OneLine(hello.ID, maxID)
}

// accept puts a request into its lane. It is dropped without an answer if its reply subject is no inbox: the plugin
// could otherwise have the bot publish where the plugin may not.
func (p *plugin) accept(m *nats.Msg, l lanes) {
	r, dropped := p.newRequest(m), ""
	switch {
	case r.kind == requestHello, r.kind == requestBye:
		return // they have come on the other subscriptions too
	case !bus.IsInbox(m.Reply):
		dropped = requestNoInbox
	case len(m.Data) > bus.MaxPluginBytes, !p.client.Leading(), !p.requestLimit.Allow():
		dropped = requestDropped
	}
	if dropped != "" {
		p.client.metrics.countRequest(p.name, r.kind, dropped)
		return
	}
	select {
	case l.of(r.kind) <- r:
	default:
		p.answer(r, *throttled("too many requests of the plugin wait"))
	}
}

// handleAll handles requests, one after the other, until ctx ends.
func (p *plugin) handleAll(ctx context.Context, waiting <-chan *request) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-waiting:
			p.handle(ctx, r)
		}
	}
}

// handle handles a request and answers it, at once or later.
func (p *plugin) handle(ctx context.Context, r *request) {
	if time.Now().After(r.until) {
		p.client.metrics.countRequest(p.name, r.kind, requestDropped)
		return
	}
	s := p.client.current()
	switch {
	case r.kind == requestQueue:
		p.answer(r, p.queue(ctx, r))
	case s == nil, s != r.session:
		p.answer(r, *failed("the bot is not in the channel"))
	case r.kind == requestSay:
		p.say(ctx, s, r)
	case r.kind == requestTake:
		p.answer(r, p.take(ctx, s, r))
	case r.kind == requestAct:
		p.act(ctx, s, r)
	case r.kind == requestState:
		p.state(ctx, s, r)
	default:
		p.answer(r, *invalid("there is no such request"))
	}
}

// take handles a request to take a line of a user as a command.
func (p *plugin) take(ctx context.Context, s *session, r *request) bus.PluginOutcome {
	var body bus.PluginTakeRequest
	if problem := r.decode(&body); problem != nil {
		return *problem
	}
	user, present := s.Find(ctx, body.User)
	if !present {
		return *denied("there is no user of that name in the channel") // whoever wrote the line may have left
	}
	err := p.client.Registry.Take(p.name, body.Command, user.Name, user.Rank, time.Now())
	switch {
	case errors.Is(err, command.ErrCooldown):
		p.client.metrics.countCall(p.name, callCooldown)
		return *throttled(err.Error())
	case err != nil:
		return *denied(err.Error())
	}
	return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
}

// answer answers a request and counts it. The log names a plugin that asks for what it may not: the audit has only what
// was tried.
func (p *plugin) answer(r *request, outcome bus.PluginOutcome) {
	p.client.metrics.countRequest(p.name, r.kind, outcome.Outcome)
	isRefused := outcome.Outcome == bus.OutcomeDenied || outcome.Outcome == bus.OutcomeThrottled
	if isRefused && r.kind != requestTake && p.mayWarn() { // a plugin asks to take a line because it cannot know
		p.client.Log.Warn("request of a plugin refused", "plugin", p.name, "request", r.kind, "outcome", outcome.Outcome,
			"cause", status.OneLine(outcome.Error, maxReport))
	}
	r.respond(outcome)
}

func (r *request) respond(answer any) {
	if data, err := bus.Encode(answer); err == nil {
		_ = r.Respond(data) // who asks has a time limit of its own
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

func failed(why string) *bus.PluginOutcome {
	return &bus.PluginOutcome{Outcome: bus.OutcomeFailed, Error: why}
}

// decode decodes the body of a request.
func (r *request) decode(into any) *bus.PluginOutcome {
	if err := json.Unmarshal(r.Data, into); err != nil {
		return invalid("expected the fields of the request as JSON: " + err.Error())
	}
	return nil
}
