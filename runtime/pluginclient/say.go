package pluginclient

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// sayExpires is how long lines may wait unless the plugin says so, and maxSayExpires at most.
	sayExpires    = 30 * time.Second
	maxSayExpires = 10 * time.Minute
)

// say handles a request to say lines. It is answered when they were said.
func (p *plugin) say(ctx context.Context, s *session, r *request) {
	var body bus.PluginSayRequest
	problem := r.decode(&body)
	if problem == nil {
		problem = checkID(body.ID)
	}
	if problem != nil {
		p.answer(r, *problem)
		return
	}
	if !p.beginOnce(r, body.ID) {
		return
	}
	one, u, problem := p.prepareSay(ctx, s, r.arrived, &body)
	if problem != nil {
		p.endOnce(requestSay, body.ID, *problem)
		return
	}
	detail := auditedLines(u.to, u.lines)
	u.done = func(outcome bus.PluginOutcome) {
		entry := audited{
			plugin: p.name, what: requestSay, call: one.number(), asker: one.asker(), detail: detail, problem: outcome.Error}
		p.client.audit(ctx, entry)
		p.endOnce(requestSay, body.ID, outcome)
	}
	s.talker.add(u)
}

// prepareSay checks a request and returns what is to be said.
func (p *plugin) prepareSay(
	ctx context.Context, s *session, arrived time.Time, request *bus.PluginSayRequest,
) (*call, *utterance, *bus.PluginOutcome) {
	one, problem := p.callOf(request.Call)
	if problem != nil {
		return nil, nil, problem
	}
	if problem := checkLines(request.Lines); problem != "" || len(request.Lines) == 0 {
		return nil, nil, invalid(cmp.Or(problem, "lines: expected at least one"))
	}
	wait := time.Duration(request.ExpiresMS) * time.Millisecond
	if wait == 0 {
		wait = sayExpires
	}
	if wait < 0 || wait > maxSayExpires {
		return nil, nil, invalid(fmt.Sprintf("expires_ms: %d, expected at most %d", request.ExpiresMS,
			maxSayExpires.Milliseconds()))
	}
	isCovered, problem := p.maySay(one, len(request.Lines))
	if problem != nil {
		return nil, nil, problem
	}
	to, problem := p.recipient(ctx, s, one, request)
	if problem != nil {
		return nil, nil, problem
	}
	needsGrant := !isCovered || to != "" && !strings.EqualFold(to, one.asker())
	return one, &utterance{
		plugin: p.name, lines: request.Lines, to: to, expires: arrived.Add(wait), most: maxWaiting,
		revoked: func() string { return p.revoked(needsGrant) },
	}, nil
}

// maySay returns why a plugin may not say lines now, or nil. A grant allows it to speak by itself, at a rate; a call
// allows it to answer with a few lines more, and isCovered is whether these are such.
func (p *plugin) maySay(one *call, lines int) (isCovered bool, problem *bus.PluginOutcome) {
	granted := p.granted().Say
	p.mu.Lock()
	isCovered = one != nil && one.said+lines <= linesPerCall
	if isCovered {
		one.said += lines
	}
	p.mu.Unlock()
	switch {
	case isCovered:
		return true, nil
	case !granted && one != nil:
		return false, denied(fmt.Sprintf("more than %d lines because of one call need grants.say", linesPerCall))
	case !granted:
		return false, denied("to speak by itself the plugin needs grants.say")
	case !p.lineLimit.AllowN(time.Now(), lines):
		return false, throttled("the plugin says too much")
	}
	return false, nil
}

// revoked returns why lines that a plugin has asked for may not be said any more, and "" if they may. needsGrant is
// whether they need grants.say.
func (p *plugin) revoked(needsGrant bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
		return errRemoved.Error()
	case needsGrant && !p.grants.Say:
		return "the plugin has no grants.say any more"
	}
	return ""
}

// recipient returns who gets the lines. Empty: the channel.
func (p *plugin) recipient(
	ctx context.Context, s *session, one *call, request *bus.PluginSayRequest,
) (string, *bus.PluginOutcome) {
	if request.To != "" && !isVia(request.To) {
		return "", invalid(fmt.Sprintf("to: expected %s or %s", bus.ViaChat, bus.ViaPM))
	}
	if request.To != bus.ViaPM {
		return "", nil
	}
	user, present := s.Find(ctx, request.User)
	switch {
	case !present:
		return "", invalid("user: there is no user of that name in the channel")
	case !p.granted().Say && !strings.EqualFold(user.Name, one.asker()):
		return "", denied("to write to others than who called it the plugin needs grants.say")
	}
	return user.Name, nil
}
