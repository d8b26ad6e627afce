package pluginclient

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// sayExpires is how long lines may wait unless the plugin says so, and maxSayExpires at most.
	sayExpires    = 30 * time.Second
	maxSayExpires = 10 * time.Minute
	// maxSays is how many requests are remembered, so that one that is repeated is not said twice.
	maxSays = 256
	// maxRepeats is how many repetitions of a request wait for its outcome.
	maxRepeats = 8
)

// saying is a request to say something, and what became of it.
type saying struct {
	// outcome is nil until it is known, and waiting are the requests that wait for it.
	outcome *bus.PluginOutcome
	waiting []*nats.Msg
}

// say handles a request to say lines. It is answered when they were said.
func (p *plugin) say(ctx context.Context, s *session, m *nats.Msg) {
	var request bus.PluginSayRequest
	problem := decode(m, &request)
	if problem == nil && (request.ID == "" || len(request.ID) > maxID) {
		problem = invalid(fmt.Sprintf("id: expected 1 to %d bytes", maxID))
	}
	if problem != nil {
		p.answer(m, requestSay, *problem)
		return
	}
	isNew, known := p.remember(request.ID, m)
	switch {
	case known != nil:
		p.answer(m, requestSay, *known)
		return
	case !isNew:
		return // it gets the answer to the first one
	}
	one, u, problem := p.prepareSay(ctx, s, &request)
	if problem != nil {
		p.said(request.ID, *problem)
		return
	}
	detail := auditedLines(u.to, u.lines)
	u.done = func(outcome bus.PluginOutcome) {
		entry := audited{
			plugin: p.name, what: requestSay, call: one.number(), asker: one.asker(), detail: detail, problem: outcome.Error}
		p.client.audit(ctx, entry)
		p.said(request.ID, outcome)
	}
	s.talker.add(u)
}

// prepareSay checks a request and returns what is to be said.
func (p *plugin) prepareSay(
	ctx context.Context, s *session, request *bus.PluginSayRequest,
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
	if problem := p.maySay(one, len(request.Lines)); problem != nil {
		return nil, nil, problem
	}
	to, problem := p.recipient(ctx, s, one, request)
	if problem != nil {
		return nil, nil, problem
	}
	return one, &utterance{
		plugin: p.name, lines: request.Lines, to: to, expires: time.Now().Add(wait), most: maxWaiting,
	}, nil
}

// maySay returns why a plugin may not say lines now, or nil. A grant allows it to speak by itself, at a rate; a call
// allows it to answer with a few lines more.
func (p *plugin) maySay(one *call, lines int) *bus.PluginOutcome {
	granted := p.granted().Say
	p.mu.Lock()
	isCovered := one != nil && one.said+lines <= linesPerCall
	if isCovered {
		one.said += lines
	}
	p.mu.Unlock()
	switch {
	case isCovered:
		return nil
	case !granted && one != nil:
		return denied(fmt.Sprintf("more than %d lines because of one call need grants.say", linesPerCall))
	case !granted:
		return denied("to speak by itself the plugin needs grants.say")
	case !p.lineLimit.AllowN(time.Now(), lines):
		return throttled("the plugin says too much")
	}
	return nil
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

// remember notes a request by its ID. known is what became of an earlier one with this ID; isNew is false if that is
// still being said.
func (p *plugin) remember(id string, m *nats.Msg) (isNew bool, known *bus.PluginOutcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	earlier, found := p.says[id]
	switch {
	case found && earlier.outcome != nil:
		return false, earlier.outcome
	case found:
		if len(earlier.waiting) < maxRepeats {
			earlier.waiting = append(earlier.waiting, m)
		}
		return false, nil
	}
	p.says[id] = &saying{waiting: []*nats.Msg{m}}
	p.sayOrder = append(p.sayOrder, id)
	if len(p.sayOrder) > maxSays {
		delete(p.says, p.sayOrder[0])
		p.sayOrder = p.sayOrder[1:]
	}
	return true, nil
}

// said notes what became of a request, and answers it. A request that was not valid, or may be made later, is
// forgotten.
func (p *plugin) said(id string, outcome bus.PluginOutcome) {
	p.mu.Lock()
	known := p.says[id]
	if known == nil {
		p.mu.Unlock()
		return
	}
	waiting := known.waiting
	known.outcome, known.waiting = &outcome, nil
	if outcome.Outcome == bus.OutcomeThrottled || outcome.Outcome == bus.OutcomeDenied {
		delete(p.says, id)
	}
	p.mu.Unlock()
	for _, m := range waiting {
		p.answer(m, requestSay, outcome)
	}
}
