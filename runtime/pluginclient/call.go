package pluginclient

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

const (
	// maxPendingReplies and maxPendingBytes bound the replies that have arrived and were not looked at.
	maxPendingReplies = 256
	maxPendingBytes   = 8 << 20
	// rememberCalls is how long a plugin may speak because of a call that it has answered, and maxCalls how many of those
	// there are for a plugin.
	rememberCalls = 10 * time.Minute
	maxCalls      = 500
	// linesPerCall is how many lines a plugin may say because of a call, beside the answer, without a grant to say.
	linesPerCall = 20
	// replyExpires is how long an answer may wait to be said.
	replyExpires = 30 * time.Second
	// maxUsageError bounds the description of a wrong argument that is shown, in characters.
	maxUsageError = 250
)

// call is a call that a user made.
type call struct {
	command.Call

	id    string
	began time.Time
	// reply gets the first reply. It has room for it.
	reply chan *nats.Msg
	// cancel ends the wait for the reply.
	cancel context.CancelCauseFunc
	// over is when it was answered, zero while it is not. said and acted count the lines and the acts because of it. The
	// plugin's lock guards all three.
	over        time.Time
	said, acted int
}

// Outcomes of calls: values of the label outcome.
const (
	callSucceeded = "success"
	callUsage     = "usage"
	callFailed    = "error"
	callInvalid   = "invalid"
	callTimedOut  = "timeout"
	callAway      = "away"
	callBusy      = "busy"
	callLeft      = "left"
	callCooldown  = "cooldown"
	callLate      = "late"
)

var callOutcomes = []string{
	callSucceeded, callUsage, callFailed, callInvalid, callTimedOut, callAway, callBusy, callLeft, callCooldown, callLate,
}

// tooManyCalls is what users are told who call a plugin that is busy.
const tooManyCalls = "too many calls at once; try again later"

// callError is a call that failed, with what users are told and what the owner of the bot is.
type callError struct {
	outcome string
	// told is for the channel, after the command. Empty: nothing is said.
	told  string
	cause string
}

func (e *callError) Error() string { return cmp.Or(e.cause, e.told) }

// Rejected implements command.Plugins.
func (c *Client) Rejected(plugin string) { c.metrics.countCall(plugin, callCooldown) }

// Call implements command.Plugins: it begins a call and returns at once.
func (c *Client) Call(k command.Call) {
	c.mu.Lock()
	s, inbox := c.session, c.inbox
	c.mu.Unlock()
	p := c.find(k.Plugin)
	if p == nil || s == nil || inbox == "" {
		k.Refund() // the bot is about to leave the channel, or the plugin was removed a moment ago
		c.metrics.countCall(k.Plugin, callLeft)
		return
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	one := &call{Call: k, id: rand.Text(), began: time.Now(), reply: make(chan *nats.Msg, 1), cancel: cancel}
	if failure := p.begin(one); failure != nil {
		cancel(nil)
		k.Refund()
		c.finish(s, p, one, nil, failure)
		return
	}
	c.calls.Go(func() {
		defer cancel(nil)
		ctx, span := telemetry.Start(ctx, "call plugin "+p.name, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeSend,
				semconv.MessagingDestinationName(p.subjects.Call(one.Command.Name))))
		defer span.End()
		reply, err := c.perform(ctx, p, one, inbox)
		p.end(one, err)
		if err != nil {
			telemetry.Fail(span, err.outcome, "")
		}
		c.metrics.observeCall(p.name, time.Since(one.began))
		c.finish(s, p, one, reply, err) //nolint:contextcheck // what it says and audits outlasts the call
	})
}

// begin notes a call, and returns why it cannot be made, or nil.
func (p *plugin) begin(one *call) *callError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return &callError{outcome: callLeft, cause: errRemoved.Error()}
	}
	p.forgetCalls()
	busy := &callError{outcome: callBusy, cause: "too many calls at once"}
	active := 0
	for _, other := range p.calls {
		switch {
		case other.over.IsZero() && strings.EqualFold(other.User.Name, one.User.Name):
			if one.Via != bus.ViaChat { // there nothing is said, as to who does not wait for the cooldown
				busy.told = "one call at a time; wait for the answer"
			}
			return busy
		case other.over.IsZero():
			active++
		}
	}
	if active >= bus.MaxPluginCalls {
		busy.told = tooManyCalls
		return busy
	}
	p.calls[one.id] = one
	return nil
}

// forgetCalls forgets calls that were answered long ago, and the oldest if there are too many. The caller has the lock.
func (p *plugin) forgetCalls() {
	var oldest *call
	for id, one := range p.calls {
		switch {
		case one.over.IsZero():
		case time.Since(one.over) > rememberCalls:
			delete(p.calls, id)
		case oldest == nil || one.over.Before(oldest.over):
			oldest = one
		}
	}
	if oldest != nil && len(p.calls) >= maxCalls {
		delete(p.calls, oldest.id)
	}
}

// end notes that a call is over. Nothing may be said any more because of one that failed.
func (p *plugin) end(one *call, err *callError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		delete(p.calls, one.id)
		return
	}
	one.over = time.Now()
}

// perform sends a call and waits for its reply.
func (c *Client) perform(ctx context.Context, p *plugin, one *call, inbox string) (*bus.PluginReply, *callError) {
	limit := timeout(one.Command)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := p.message(one, limit)
	if err != nil {
		return nil, &callError{outcome: callInvalid, told: "it is too long", cause: err.Error()}
	}
	m.Reply = inbox + "." + one.id
	telemetry.Inject(trace.SpanContextFromContext(ctx), m.Header)
	c.await(one)
	defer c.unawait(one)
	if err := c.Conn.NATS().PublishMsg(m); err != nil {
		return nil, &callError{outcome: callAway, told: "the plugin cannot be reached", cause: bus.ErrorMessage(err)}
	}
	select {
	case reply := <-one.reply:
		return p.readReply(reply)
	case <-ctx.Done():
		return nil, p.cancelCall(ctx, one)
	}
}

// message returns the request of a call.
func (p *plugin) message(one *call, limit time.Duration) (*nats.Msg, error) {
	data, err := bus.Encode(bus.PluginCall{
		ID: one.id, Via: one.Via, User: one.User, Command: one.Command.Name, Args: one.Args, Text: one.Text,
	})
	if err == nil && len(data) > bus.MaxPluginBytes {
		err = fmt.Errorf("the call has %d bytes, expected at most %d", len(data), bus.MaxPluginBytes)
	}
	return &nats.Msg{
		Subject: p.subjects.Call(one.Command.Name), Data: data,
		Header: nats.Header{bus.DeadlineHeader: {strconv.FormatInt(limit.Milliseconds(), 10)}},
	}, err
}

// cancelCall tells the plugin that nobody waits any more for the answer to a call whose context has ended.
func (p *plugin) cancelCall(ctx context.Context, one *call) *callError {
	why := bus.CancelDeadline
	failure := &callError{
		outcome: callTimedOut, told: "the plugin did not answer in time",
		cause: fmt.Sprintf("no answer to %s within %s", one.Command.Name, timeout(one.Command)),
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errRemoved):
		why, failure = bus.CancelRemoved, &callError{outcome: callLeft, cause: cause.Error()}
	case errors.Is(cause, errNotLeading):
		why, failure = bus.CancelLeader, &callError{outcome: callLeft, cause: cause.Error()}
	case !errors.Is(cause, context.DeadlineExceeded):
		why, failure = bus.CancelLeft, &callError{outcome: callLeft, cause: "the bot left the channel"}
	}
	if data, err := bus.Encode(bus.PluginCancel{ID: one.id, Why: why}); err == nil {
		_ = p.client.Conn.NATS().Publish(p.subjects.Cancel(), data) // the plugin has a deadline of its own
	}
	return failure
}

func (c *Client) await(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[one.id] = one
}

func (c *Client) unawait(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, one.id)
}

// receiveReply passes a reply on to the call that waits for it. A second one, or one that comes too late, finds none.
func (c *Client) receiveReply(m *nats.Msg) {
	token := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	c.mu.Lock()
	one := c.pending[token]
	delete(c.pending, token)
	c.mu.Unlock()
	if one != nil {
		one.reply <- m // it has room, and gets one
		return
	}
	c.metrics.countCall(c.callee(token), callLate)
}

// callee returns the plugin of a call that was answered before, or otherPlugin.
func (c *Client) callee(id string) string {
	for _, p := range c.all() {
		p.mu.Lock()
		_, found := p.calls[id]
		p.mu.Unlock()
		if found {
			return p.name
		}
	}
	return otherPlugin
}

// readReply returns the answer in a reply.
func (p *plugin) readReply(m *nats.Msg) (*bus.PluginReply, *callError) {
	switch code := m.Header.Get(micro.ErrorCodeHeader); {
	case isNoResponder(m):
		// Either the plugin is gone, or only this command: the server has refused its subscription, for example.
		p.wake()
		return nil, &callError{outcome: callAway, told: "the plugin is away", cause: "nobody has subscribed to its calls"}
	case code == bus.CodeUsage:
		told := status.OneLine(m.Header.Get(micro.ErrorHeader), maxUsageError)
		return nil, &callError{outcome: callUsage, told: cmp.Or(told, "wrong arguments")}
	case code == bus.CodeBusy:
		return nil, &callError{outcome: callBusy, told: tooManyCalls, cause: "the plugin is busy"}
	case code != "" || m.Header.Get(micro.ErrorHeader) != "":
		cause := fmt.Sprintf("error %s: %s", status.OneLine(code, maxID),
			status.OneLine(m.Header.Get(micro.ErrorHeader), maxUsageError))
		return nil, &callError{outcome: callFailed, told: "something went wrong", cause: cause}
	case len(m.Data) > bus.MaxPluginBytes:
		return nil, invalidReply(fmt.Sprintf("%d bytes, expected at most %d", len(m.Data), bus.MaxPluginBytes))
	}
	var reply bus.PluginReply
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return nil, invalidReply("expected JSON with lines, to and cooldown")
	}
	if reply.To != "" && !isVia(reply.To) {
		return nil, invalidReply(fmt.Sprintf("to: %q, expected %s or %s", status.OneLine(reply.To, maxID), bus.ViaChat,
			bus.ViaPM))
	}
	if problem := checkLines(reply.Lines); problem != "" {
		return nil, invalidReply(problem)
	}
	return &reply, nil
}

func invalidReply(problem string) *callError {
	return &callError{outcome: callInvalid, told: "something went wrong", cause: "the answer is not valid: " + problem}
}

// finish counts a call, says its answer or why there is none, and publishes it for the audit.
func (c *Client) finish(s *session, p *plugin, one *call, reply *bus.PluginReply, failure *callError) {
	ctx := context.WithoutCancel(s.ctx)
	u := &utterance{
		plugin: p.name, expires: time.Now().Add(replyExpires), most: maxAnswers,
		revoked: func() string { return p.revoked(false) },
	}
	if one.Via == bus.ViaPM {
		u.to = one.User.Name
	}
	outcome := callSucceeded
	if failure != nil {
		outcome = failure.outcome
		c.noteFailure(ctx, p, one, failure)
		if outcome == callUsage {
			one.Forgive()
		}
		if failure.told != "" {
			u.lines = []string{one.Typed + ": " + failure.told}
		}
	} else {
		p.setFailure("")
		c.useReply(u, one, reply)
	}
	c.metrics.countCall(p.name, outcome)
	answer := auditedLines(u.to, u.lines) // which are taken away one by one as they are said
	u.done = func(said bus.PluginOutcome) {
		entry := audited{
			plugin: p.name, what: one.Command.Name, call: one.id, asker: one.User.Name, detail: one.Audited, said: answer,
		}
		switch {
		case failure != nil:
			entry.problem = auditedProblem(one, failure)
		case !said.Success:
			entry.problem = said.Error
		}
		c.audit(ctx, entry)
	}
	s.talker.add(u)
}

// useReply takes from a reply what is to be said.
func (c *Client) useReply(u *utterance, one *call, reply *bus.PluginReply) {
	u.lines = reply.Lines
	switch reply.To {
	case bus.ViaPM:
		u.to = one.User.Name
	case bus.ViaChat:
		u.to = ""
	}
	if reply.Cooldown != nil && !*reply.Cooldown {
		one.Forgive()
	}
}

// noteFailure notes why a call failed where the owner of the bot finds it.
func (c *Client) noteFailure(ctx context.Context, p *plugin, one *call, failure *callError) {
	switch failure.outcome {
	case callUsage, callLeft, callBusy: // nothing is wrong with the plugin
		return
	}
	cause := auditedProblem(one, failure)
	p.setFailure("the last call of " + one.Command.Name + " failed: " + cause)
	if p.mayWarn() {
		c.Log.WarnContext(ctx, "call of a plugin failed", "plugin", p.name, "command", one.Command.Name, "call", one.id,
			"outcome", failure.outcome, "cause", cause)
	}
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
