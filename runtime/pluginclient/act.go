package pluginclient

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/status"
)

const (
	// actTimeout bounds an act. Most of it is for waiting until the flood limit lets a command through.
	actTimeout = 20 * time.Second
	// actsPerCall is how many acts are done because of a call.
	actsPerCall = 3
)

// queue handles a request to put a line into the outbound queue.
func (p *plugin) queue(ctx context.Context, r *request) bus.PluginOutcome {
	var request bus.PluginQueueRequest
	if problem := r.decode(&request); problem != nil {
		return *problem
	}
	one, problem := p.callOf(request.Call)
	switch {
	case problem != nil:
		return *problem
	case !p.granted().Queue:
		return *denied("the plugin needs grants.queue")
	}
	if problem := checkID(request.ID); problem != nil {
		return *problem
	}
	if problem := checkLine(&request.Line); problem != "" {
		return *invalid("line: " + problem)
	}
	if !p.lineLimit.Allow() {
		return *throttled("the plugin says too much")
	}
	asker := one.asker()
	if asker == "" {
		asker = asPlugin(p.name)
	}
	var reply bus.OutboundPutReply
	ctx, cancel := context.WithDeadline(ctx, r.until)
	defer cancel()
	err := p.client.Requester.Request(ctx, bus.OutboundPut, bus.OutboundPutRequest{
		Message: request.Line, ClientID: fmt.Sprintf("plugin/%s/%s/%s", p.name, one.number(), request.ID), Asker: asker,
		Origin: p.client.Origin,
	}, &reply)
	outcome := bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone, Row: reply.ID}
	switch {
	case err != nil:
		outcome = *failed("the database service does not answer")
	case !reply.Success:
		outcome = *failed(status.OneLine(reply.Error, maxReport))
	}
	p.client.audit(ctx, audited{
		plugin: p.name, what: requestQueue, call: one.number(), asker: one.asker(),
		detail: fmt.Sprintf("row %d: %s", reply.ID, request.Line), problem: outcome.Error,
	})
	return outcome
}

// act handles a request to do something in the channel. One that is repeated gets the answer to the first.
func (p *plugin) act(ctx context.Context, s *session, r *request) {
	var body bus.PluginActRequest
	problem := r.decode(&body)
	if problem == nil && !slices.Contains(bus.PluginVerbs, bus.PluginVerb(r.detail)) {
		problem = invalid("there is no such verb")
	}
	if problem == nil && !body.Check {
		problem = checkID(body.ID)
	}
	switch {
	case problem != nil:
		p.answer(r, *problem)
	case body.Check:
		_, outcome := p.tryAct(ctx, s, r, body) // nothing is done, also the second time
		p.answer(r, outcome)
	case p.beginOnce(r, body.ID):
		audit, outcome := p.tryAct(ctx, s, r, body)
		if audit != nil {
			p.client.audit(ctx, *audit)
		}
		p.endOnce(requestAct, body.ID, outcome)
	}
}

// tryAct does something in the channel if the plugin may. entry is for the audit, and nil if it may not.
func (p *plugin) tryAct(ctx context.Context, s *session, r *request, body bus.PluginActRequest) (
	entry *audited, outcome bus.PluginOutcome,
) {
	one, act, problem := p.prepareAct(bus.PluginVerb(r.detail), body)
	if problem != nil {
		return nil, *problem
	}
	outcome = p.perform(ctx, s, r.until, act)
	return &audited{
		plugin: p.name, what: r.detail, call: one.number(), asker: one.asker(), detail: detailOf(body),
		problem: outcome.Error,
	}, outcome
}

// prepareAct checks whether the plugin may do something now.
func (p *plugin) prepareAct(verb bus.PluginVerb, body bus.PluginActRequest) (
	*call, command.Act, *bus.PluginOutcome,
) {
	act := command.Act{Verb: verb, Request: body, Plugin: p.name}
	rank, isGranted := p.granted().Allows(string(verb))
	one, problem := p.callOf(body.Call)
	switch {
	case problem != nil:
		return nil, act, problem
	case !isGranted:
		return nil, act, denied(fmt.Sprintf("the plugin needs %s in grants.act", verb))
	case rank != nil && one == nil:
		return nil, act, denied(fmt.Sprintf("call: %s is granted only because of a call, by rank", verb))
	case !p.actLimit.Allow():
		return nil, act, throttled("the plugin does too much")
	}
	if problem := p.countAct(one, body.Check); problem != nil {
		return nil, act, problem
	}
	act.Asker = one.asker()
	if rank != nil {
		act.Rank = *rank
	}
	return one, act, nil
}

// countAct counts an act because of a call, unless it is only checked, and returns why it may not be done, or nil. A
// call is what somebody wanted once: it must not be a permit for all that they may do, for as long as the plugin likes.
func (p *plugin) countAct(one *call, isCheck bool) *bus.PluginOutcome {
	if one == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch limit := timeout(one.Command); {
	case !one.over.IsZero() && time.Since(one.over) > limit:
		return denied(fmt.Sprintf("call: it was answered more than %s ago", limit))
	case one.acted >= actsPerCall:
		return denied(fmt.Sprintf("call: %d acts were done because of it, and no more are", actsPerCall))
	}
	if !isCheck {
		one.acted++
	}
	return nil
}

// perform does something in the channel, unless the session ends.
func (p *plugin) perform(
	ctx context.Context, s *session, until time.Time, act command.Act,
) bus.PluginOutcome {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	ctx, stop := context.WithDeadline(ctx, until)
	defer stop()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // the end of the session ends it too
	run, err := s.PrepareAct(ctx, act)
	switch {
	case err != nil && command.IsDenied(err):
		return *denied(err.Error())
	case err != nil:
		return *invalid(err.Error())
	case !p.client.Leading():
		return *failed(errNotLeading.Error())
	}
	added, err := run(ctx)
	switch {
	case command.IsUnconfirmed(err):
		return bus.PluginOutcome{Outcome: bus.OutcomeUnconfirmed, Error: err.Error()}
	case err != nil:
		return *failed(err.Error())
	}
	return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone, Item: added}
}

// detailOf returns what a request is about, for the audit.
func detailOf(request bus.PluginActRequest) string {
	switch {
	case request.URL != "":
		return status.OneLine(request.URL, maxReport)
	case request.User != "":
		return status.OneLine(request.User+" "+request.Reason, maxReport)
	case request.Title != "":
		return status.OneLine(request.Title, maxReport)
	case request.UID != 0:
		return fmt.Sprintf("item %d", request.UID)
	}
	return ""
}

// state handles a request for a part of the channel's state.
func (p *plugin) state(ctx context.Context, s *session, r *request) {
	thing := bus.PluginThing(r.detail)
	switch {
	case !slices.Contains(bus.PluginThings, thing):
		p.answer(r, *invalid("there is no such part of the state"))
		return
	case !slices.Contains(p.granted().State, r.detail):
		p.answer(r, *denied(fmt.Sprintf("the plugin needs %s in grants.state", thing)))
		return
	}
	state, known := s.State(ctx, thing)
	if !known {
		p.answer(r, *failed("the bot is not in the channel"))
		return
	}
	p.client.metrics.countRequest(p.name, requestState, bus.OutcomeDone)
	r.respond(state)
}
