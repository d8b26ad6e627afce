package pluginclient

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/status"
)

// actTimeout bounds an act. Most of it is for waiting until the flood limit lets a command through.
const actTimeout = 20 * time.Second

// queue handles a request to put a line into the outbound queue.
func (p *plugin) queue(ctx context.Context, m *nats.Msg) bus.PluginOutcome {
	var request bus.PluginQueueRequest
	if problem := decode(m, &request); problem != nil {
		return *problem
	}
	one, problem := p.callOf(request.Call)
	switch {
	case problem != nil:
		return *problem
	case !p.granted().Queue:
		return *denied("the plugin needs grants.queue")
	case request.ID == "" || len(request.ID) > maxID:
		return *invalid(fmt.Sprintf("id: expected 1 to %d bytes", maxID))
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

// act handles a request to do something in the channel.
func (p *plugin) act(ctx context.Context, s *session, m *nats.Msg, verb bus.PluginVerb) bus.PluginOutcome {
	var request bus.PluginActRequest
	if problem := decode(m, &request); problem != nil {
		return *problem
	}
	if !slices.Contains(bus.PluginVerbs, verb) {
		return *invalid("there is no such verb")
	}
	rank, isGranted := p.granted().Allows(string(verb))
	one, problem := p.callOf(request.Call)
	switch {
	case problem != nil:
		return *problem
	case !isGranted:
		return *denied(fmt.Sprintf("the plugin needs %s in grants.act", verb))
	case rank != nil && one == nil:
		return *denied(fmt.Sprintf("call: %s is granted only because of a call, by rank", verb))
	case !p.actLimit.Allow():
		return *throttled("the plugin does too much")
	}
	act := command.Act{Verb: verb, Request: request, Asker: one.asker()}
	if rank != nil {
		act.Rank = *rank
	}
	outcome := p.perform(ctx, s, act)
	if request.Check {
		return outcome // nothing was done
	}
	p.client.audit(ctx, audited{
		plugin: p.name, what: string(verb), call: one.number(), asker: one.asker(), detail: detailOf(request),
		problem: outcome.Error,
	})
	return outcome
}

// perform does something in the channel, unless the session ends.
func (p *plugin) perform(ctx context.Context, s *session, act command.Act) bus.PluginOutcome {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // the end of the session ends it too
	run, err := s.PrepareAct(ctx, act)
	switch {
	case err != nil && command.IsDenied(err):
		return *denied(err.Error())
	case err != nil:
		return *invalid(err.Error())
	case !p.client.Leading():
		return *failed(errNotLeading.Error())
	case act.Request.Check:
		return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
	}
	added, err := run(ctx)
	if err != nil {
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
func (p *plugin) state(ctx context.Context, s *session, m *nats.Msg, thing bus.PluginThing) {
	switch {
	case !slices.Contains(bus.PluginThings, thing):
		p.answer(m, requestState, *invalid("there is no such part of the state"))
		return
	case !slices.Contains(p.granted().State, string(thing)):
		p.answer(m, requestState, *denied(fmt.Sprintf("the plugin needs %s in grants.state", thing)))
		return
	}
	state, known := s.State(ctx, thing)
	if !known {
		p.answer(m, requestState, *failed("the bot is not in the channel"))
		return
	}
	p.client.metrics.countRequest(p.name, requestState, bus.OutcomeDone)
	p.respond(m, state)
}
